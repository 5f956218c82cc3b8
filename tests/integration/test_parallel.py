"""Two real processes over gloo train what one trains, resume to the bit, and end with one another."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import torch
import torch.distributed as dist

from pskd_core.__main__ import _parser, read_spec
from pskd_core.config import Resources, configuration_hash
from pskd_core.data.columnar import SKELETON, Dataset, Recording, Stream, write_dataset
from pskd_core.data.splits import plan_folds
from pskd_core.errors import RankLost, SpecError, out_of_memory
from pskd_core.parallel import ALONE
from pskd_core.ranks import together
from pskd_core.run import Run, check_processes
from tests.company import (
    CASES,
    Trained,
    doubled,
    end_early,
    follow,
    make_run,
    spec_of,
    student,
    train_all,
    trained,
    want_memory,
)
from tests.integration.worker.stack import all_gone, until
from tests.small import small_dataset


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Datasets `whole` and `lame`, of which every fifth recording alone has a skeleton."""
    folder = tmp_path_factory.mktemp("data")
    whole = small_dataset(folder / "whole")
    recordings = [
        Recording(
            id=meta.id,
            subject=meta.subject,
            trial=meta.trial,
            label=meta.label,
            streams={
                name: Stream(whole.stream(name, index), meta.rate_hz(name))
                for name in meta.streams
                if name != SKELETON or index % 5 == 0
            },
        )
        for index, meta in enumerate(whole.recordings)
    ]
    write_dataset(folder / "lame", whole.info, recordings)
    return folder


@pytest.fixture(scope="module")
def by_two(folder: Path) -> dict[str, Trained]:
    """Every case as two processes train it."""
    with together(follow, [folder], processes=2, device="cpu") as team:
        return train_all(team, folder)


@pytest.mark.parametrize("name", CASES)
def test_two_processes_train_what_one_trains(folder: Path, by_two: dict[str, Trained], name: str) -> None:
    """Every weight, batch-norm statistic, regressor, averaged weight and metric is the same, but for rounding."""
    one, two = trained(doubled(make_run(folder, name, spec_of(**CASES[name]))), ALONE), by_two[name]
    fresh = doubled(make_run(folder, name, spec_of(**CASES[name]))).state.student.trained.state_dict()

    assert [report.phase for report in two.reports] == [report.phase for report in one.reports]
    for found, expected in zip(two.reports, one.reports, strict=True):
        assert found.metrics == pytest.approx(expected.metrics, rel=1e-9, abs=1e-12)
    assert two.tensors.keys() == one.tensors.keys()
    worst = max(float((two.tensors[key] - value).abs().max()) for key, value in one.tensors.items())
    assert worst < 1e-10
    assert any(not torch.equal(one.tensors[f"student/{key}"], value) for key, value in fresh.items())


# --- Broken and going on ------------------------------------------------------------------------------------------

LONGER = {"training": {"epochs": 3}, "resources": {"processes": 2}}


def others() -> list[psutil.Process]:
    """Processes that this one has started for a run."""
    return [child for child in psutil.Process().children() if "spawn_main" in " ".join(child.cmdline())]


def test_a_resumed_run_of_two_processes_repeats_every_bit(folder: Path, tmp_path: Path) -> None:
    """From a checkpoint in mid-run, two fresh processes come to the weights, metrics and scores of the unbroken two."""
    spec = spec_of(**LONGER)
    unbroken = make_run(folder, "whole", spec)
    reports = []
    for report in unbroken.epochs():
        reports.append(report)
        if len(reports) == 3:
            unbroken.checkpoint(tmp_path / "checkpoint")
    resumed = make_run(folder, "whole", spec, resume=tmp_path / "checkpoint")

    assert list(resumed.epochs()) == reports[3:]
    for name, learner in unbroken.state.learners.items():
        again = resumed.state.learners[name].network.state_dict()
        assert all(torch.equal(again[key], value) for key, value in learner.network.state_dict().items())
    assert resumed.finish() == unbroken.finish()
    assert unbroken.finish().environment["processes"] == "2"
    assert others() == []


def test_kept_answers_and_half_precision_serve_two_processes(folder: Path, tmp_path: Path) -> None:
    """Who reads the teachers' answers comes to the bits of who left them, in bf16, and near to those of one process."""
    half = {"training": {"epochs": 1, "precision": "bf16"}}
    spec = spec_of(**half, resources={"processes": 2})
    dataset = Dataset.open(folder / "whole")
    (fold,) = plan_folds(spec, dataset.info, dataset.recordings)
    leaving = Run(dataset, spec, fold, 0, answers=tmp_path / "kept")
    reports = list(leaving.epochs())
    reading = Run(dataset, spec, fold, 0, answers=tmp_path / "kept")

    assert reading.replays
    assert list(reading.epochs()) == reports
    alone = list(make_run(folder, "whole", spec_of(**half)).epochs())
    for found, expected in zip(reports, alone, strict=True):
        assert found.metrics == pytest.approx(expected.metrics, rel=1e-2)


def test_a_run_ends_with_any_of_its_processes(folder: Path) -> None:
    """Killed in mid-run, the other process is named with its signal at the next step, and nothing hangs."""
    run = make_run(folder, "whole", spec_of(**LONGER))

    def kill_at_five(steps: int) -> None:
        if steps >= 5:
            for other in others():
                other.kill()

    with pytest.raises(RankLost, match=r"^process 2 of 2 was killed by signal 9$") as lost:
        list(run.epochs(kill_at_five))
    assert (lost.value.killed, lost.value.out_of_memory) == (True, False)
    assert run.state.steps >= 5
    assert others() == []


def test_whoever_stops_the_first_stops_all(folder: Path) -> None:
    """What `on_step` raises comes out at that step, and leaves no process behind."""

    def stop(steps: int) -> None:
        sys.exit(f"stopped after {steps}")

    with pytest.raises(SystemExit, match="stopped after 2"):
        list(make_run(folder, "whole", spec_of(**LONGER)).epochs(stop))
    assert others() == []


def test_a_process_without_memory_says_so(capfd: pytest.CaptureFixture[str]) -> None:
    """What one process could not get is the run's want of memory, and not a lost connection."""
    told = pytest.raises(RankLost, match=r"^process 2 of 2 has failed: RuntimeError: .*memory")
    with told as lost, together(want_memory, [], processes=2, device="cpu"):
        dist.barrier()
    assert out_of_memory(lost.value)
    assert "has failed" in capfd.readouterr().err


def test_a_process_that_never_starts_is_not_waited_for() -> None:
    """Nobody waits at the meeting for one that has died on its way there."""
    told = pytest.raises(RankLost, match="process 2 of 2 ended with status 3")
    with told, together(end_early, [], processes=2, device="cpu"):
        pytest.fail("there is nobody to work with")


def test_none_outlives_the_first() -> None:
    """`kill -9` of a run's first process ends the others, though they wait for nothing."""
    with subprocess.Popen([sys.executable, "-c", _FIRST.format("")], stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == b"together\n"
        family = psutil.Process(first.pid).children(recursive=True)
        assert len(family) >= 2
        first.kill()
    until(lambda: all_gone(family), within_s=10, what="the end of the family")


def test_the_first_does_not_wait_for_ever() -> None:
    """Where a death breaks no connection, as on a GPU, the first process is killed for the supervisor to see."""
    kill = "import psutil; psutil.Process().children()[-1].kill()"
    first = subprocess.run([sys.executable, "-c", _FIRST.format(kill)], capture_output=True, check=False, timeout=60)
    assert first.returncode == -signal.SIGKILL
    assert b"a process of this run has died" in first.stderr


_FIRST = f"""
import sys, time
sys.path.insert(0, {str(Path.cwd())!r})
from pskd_core import ranks
from tests.company import sleep
ranks.NOTICE_S = 0.5
with ranks.together(sleep, [], processes=2, device="cpu"):
    print("together", flush=True)
    {{}}
    time.sleep(600)
"""


# --- Refused ------------------------------------------------------------------------------------------------------


def test_what_cannot_be_shared_is_refused(folder: Path) -> None:
    """More processes than recordings or GPUs, or a forest, which has no steps: with the place and the remedy."""
    with pytest.raises(SpecError, match="a random_forest is fitted by one process"):
        spec_of(**student(kind="random_forest"), resources={"processes": 2})
    with pytest.raises(SpecError, match="less than or equal to 8"):
        spec_of(resources={"processes": 9})
    spec = spec_of(resources={"processes": 4})
    check_processes(spec, recordings=4, gpus=None)
    check_processes(spec, recordings=4, gpus=4)
    check_processes(spec_of(), recordings=4, gpus=0)
    with pytest.raises(SpecError, match="4 processes cannot share 3 training recordings") as few:
        check_processes(spec, recordings=3, gpus=None)
    assert few.value.errors[0]["pointer"] == "/resources/processes"
    with pytest.raises(
        SpecError, match=r"4 processes need as many GPUs, and this run has 2; lower resources\.processes"
    ):
        check_processes(spec, recordings=4, gpus=2)


def test_processes_are_not_compared(tmp_path: Path) -> None:
    """How many trained a row changes no configuration; the command line takes their number over the file's."""
    one, two = spec_of(), spec_of(resources={"processes": 2})
    assert configuration_hash(one) == configuration_hash(two)
    file = tmp_path / "spec.yaml"
    file.write_text("resources: {processes: 4, device: cpu}\n", encoding="utf-8")
    options = _parser().parse_args(["train", str(file), "--processes", "2", "--out", str(tmp_path)])
    assert read_spec(options).resources == Resources(processes=2, device="cpu")
