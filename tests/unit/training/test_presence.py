"""Recordings without skeleton train the student with the teachers they have, and change nothing else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pskd_core.config import Augment, JobSpec, parse_spec
from pskd_core.data.columnar import SKELETON, Dataset, Recording, Stream, write_dataset
from pskd_core.data.splits import plan_folds
from pskd_core.run import Run
from pskd_core.training.views import Views
from tests.small import SMALL_SPEC, small_dataset


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return small_dataset(tmp_path_factory.mktemp("data") / "dataset")


@pytest.fixture(scope="module")
def lame(whole: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Every third recording has lost its skeleton: 16 of 24 that train have one."""
    return with_skeletons(whole, tmp_path_factory.mktemp("data") / "lame", lambda index: index % 3 != 0)


def with_skeletons(whole: Dataset, path: Path, keeps: Callable[[int], bool]) -> Dataset:
    """A copy in which some recordings have no skeleton."""
    recordings = [
        Recording(
            id=meta.id,
            subject=meta.subject,
            trial=meta.trial,
            label=meta.label,
            streams={
                name: Stream(whole.stream(name, index), meta.rate_hz(name))
                for name in meta.streams
                if name != SKELETON or keeps(index)
            },
        )
        for index, meta in enumerate(whole.recordings)
    ]
    return write_dataset(path, whole.info, recordings)


def spec_of(**method: Any) -> JobSpec:
    return parse_spec({**SMALL_SPEC, "method": {**SMALL_SPEC["method"], **method}})


def make_run(dataset: Dataset, spec: JobSpec | None = None, *, resume: Path | None = None) -> Run:
    spec = spec or spec_of()
    (fold,) = plan_folds(spec, dataset.info, dataset.recordings)
    return Run(dataset, spec, fold, 0, resume=resume)


def equal_bits(one: Run, other: Run, name: str) -> bool:
    states = [run.state.learners[name].network.state_dict() for run in (one, other)]
    return states[0].keys() == states[1].keys() and all(
        torch.equal(states[0][key], states[1][key]) for key in states[0]
    )


def test_the_student_trains_on_all_and_a_teacher_on_what_it_has(lame: Dataset) -> None:
    """How many each learned from is reported with the run, and the share of an epoch with its metrics."""
    run = make_run(lame)
    reports = list(run.epochs())
    outcome = run.finish()

    assert (outcome.train_n, outcome.teachers_train_n) == (24, {"skeleton": 16, "fusion": 16})
    assert outcome.test is not None
    assert outcome.test.n == 24
    scored = outcome.teachers["skeleton"].test
    assert scored is not None
    assert scored.n == 16
    assert all(report.metrics["skeleton/present"] == pytest.approx(16 / 24) for report in reports[::2])
    # A student's epoch can follow nobody where nobody is.
    assert all(
        report.metrics["student/follows/skeleton"] + report.metrics["student/follows/fusion"] <= 16 / 24 + 1e-6
        for report in reports[1::2]
    )


def test_a_whole_dataset_reports_no_share(whole: Dataset) -> None:
    """Where every recording has every stream nothing is masked."""
    run = make_run(whole)
    assert run.train_clips.present == {}
    assert "skeleton/present" not in next(run.epochs()).metrics
    assert run.finish().teachers_train_n == {"skeleton": 24, "fusion": 24}


@pytest.mark.parametrize("loss", ["pskd", "fitnet", "rkd"])
@pytest.mark.parametrize("schedule", ["progressive", "per_step"])
def test_what_stands_in_an_absent_stream_is_never_seen(lame: Dataset, loss: str, schedule: str) -> None:
    """NaN in place of the zeros leaves every metric and every weight as it is."""
    spec = spec_of(
        loss={"kind": loss}, schedule={"kind": schedule, **({"pull": 0.5} if schedule == "per_step" else {})}
    )
    clean, poisoned = make_run(lame, spec), make_run(lame, spec)
    poisoned.train_clips.streams[SKELETON][~poisoned.train_clips.present[SKELETON]] = np.nan

    assert list(poisoned.epochs()) == list(clean.epochs())
    for name in ("skeleton", "fusion", "student"):
        assert equal_bits(poisoned, clean, name)


def test_teachers_do_not_depend_on_loss_or_schedule(lame: Dataset) -> None:
    """The same samples in the same batches, whatever the student does with them."""
    runs = [
        make_run(lame, spec)
        for spec in (spec_of(), spec_of(loss={"kind": "sp"}), spec_of(schedule={"kind": "per_step"}))
    ]
    for run in runs:
        list(run.epochs())
    for name in ("skeleton", "fusion"):
        assert equal_bits(runs[0], runs[1], name)
        assert equal_bits(runs[0], runs[2], name)


def test_the_student_without_teachers_sees_the_same_recordings(lame: Dataset) -> None:
    """Comparisons with method `none` are paired: a loss of weight 0 gives its very bits."""
    idle = make_run(lame, spec_of(loss={"kind": "logits", "weight": 0}))
    alone = make_run(lame, parse_spec({**SMALL_SPEC, "method": {"kind": "none"}}))
    for run in (idle, alone):
        list(run.epochs())

    assert alone.fold == idle.fold
    assert equal_bits(idle, alone, "student")


def test_a_batch_with_fewer_than_two_samples_is_skipped(whole: Dataset, tmp_path: Path) -> None:
    """Two recordings have a skeleton: the teacher trains where they meet, and its steps go on where they do not."""
    (fold,) = plan_folds(spec_of(), whole.info, whole.recordings)
    run = make_run(with_skeletons(whole, tmp_path / "few", lambda index: index in fold.train[:2]))
    shares = []
    for report in run.epochs():
        if report.phase == "teachers":
            share = report.metrics["skeleton/present"]
            assert ("skeleton/ce" in report.metrics) == (share > 0)
            shares.append(share)

    assert all(share == pytest.approx(2 / 24, abs=1e-6) for share in shares if share)
    assert 0 in shares
    assert run.state.learners["skeleton"].steps == run.state.student.steps


def test_it_resumes_bit_for_bit(lame: Dataset, tmp_path: Path) -> None:
    """Masks follow from the data, so a checkpoint needs none."""
    unbroken, broken = make_run(lame), make_run(lame)
    reports = list(unbroken.epochs())
    epochs = broken.epochs()
    first = [next(epochs) for _ in range(3)]
    broken.checkpoint(tmp_path / "checkpoint")
    resumed = make_run(lame, resume=tmp_path / "checkpoint")

    assert first + list(resumed.epochs()) == reports
    assert equal_bits(resumed, unbroken, "student")


def test_answers_are_kept_with_those_of_absent_teachers(lame: Dataset, tmp_path: Path) -> None:
    """A student that reads them learns what one with teachers of its own learns."""
    spec = spec_of()
    (fold,) = plan_folds(spec, lame.info, lame.recordings)
    plain, leaving = Run(lame, spec, fold, 0), Run(lame, spec, fold, 0, answers=tmp_path / "kept")
    reports = list(plain.epochs())
    assert "skeleton/present" in reports[0].metrics
    assert list(leaving.epochs()) == reports

    reading = Run(lame, spec, fold, 0, answers=tmp_path / "kept")
    assert reading.replays
    assert list(reading.epochs()) == reports
    assert equal_bits(plain, reading, "student")


def test_a_mix_with_a_clip_that_lacks_a_skeleton_lacks_it_too(lame: Dataset) -> None:
    """Half a skeleton is none: such a sample follows the teachers that both of its clips have."""
    spec = spec_of().model_copy(update={"augment": Augment(mixup=0.5)})
    clips = make_run(lame, spec).train_clips
    views = Views(clips, spec, info=lame.info, seed=0, device=torch.device("cpu"))
    whole = Views(clips, spec_of(), info=lame.info, seed=0, device=torch.device("cpu"))
    fewer = 0
    for mixed, plain in zip(views.batches("student", epoch=0), whole.batches("student", epoch=0), strict=True):
        assert not (mixed.present["skeleton"] & ~plain.present["skeleton"]).any()
        fewer += int((plain.present["skeleton"] & ~mixed.present["skeleton"]).sum())
    assert fewer > 0
