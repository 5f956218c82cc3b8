"""Child processes: what they start with, and that none outlives its supervisor or its lease."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

import psutil
import pytest

from tests.integration.worker.first_step import note_modules
from tests.integration.worker.stack import all_gone, until
from tests.small import small_dataset
from worker.child import PRELOAD, _enter, forkserver
from worker.link import Link, Stop
from worker.settings import WorkerSettings

LOADED = 0
MISSING = 1
INSIDE, OUTSIDE = 0, 1
MOST_MODULES = 25  # seven when this was written; what torch leaves to the first optimiser is hundreds


def say_what_is_loaded(names: tuple[str, ...]) -> None:
    # Nothing of this module has imported torch; what is there came from the fork server.
    sys.exit(LOADED if all(name in sys.modules for name in names) else MISSING)


def work_for_ever(link: Link, folder: Path) -> None:
    _enter(WorkerSettings(), link, folder, {"run_id": "run_1"})
    (folder / "half").write_text("written")
    link.beat()
    time.sleep(600)


def make_a_temporary_file(link: Link, folder: Path) -> None:
    _enter(WorkerSettings(), link, folder, {"run_id": "run_1"})
    with tempfile.NamedTemporaryFile() as file:
        sys.exit(INSIDE if Path(file.name).parent == folder else OUTSIDE)


def step_until_told(link: Link) -> None:
    while link.stop is Stop.NO:
        link.beat()
        time.sleep(0.01)


@pytest.fixture(scope="module")
def context() -> ForkServerContext:
    return forkserver()


@pytest.fixture
def link(context: ForkServerContext) -> Link:
    return Link(context, lease_end_s=time.monotonic() + 60)


@pytest.fixture
def child(context: ForkServerContext, link: Link, tmp_path: Path) -> Iterator[ForkServerProcess]:
    process = context.Process(target=work_for_ever, args=(link, tmp_path))
    process.start()
    until(lambda: link.beats, what="the child's first sign of life")
    yield process
    process.kill()
    process.join()


def test_children_start_with_everything_heavy_imported(context: ForkServerContext) -> None:
    """The fork server has preloaded torch and all it imports later; it would swallow the errors if it had not."""
    modules = ("torch", "pskd_core.run", *PRELOAD)
    child = context.Process(target=say_what_is_loaded, args=(modules,))
    child.start()
    child.join(120)
    assert child.exitcode == LOADED
    child = context.Process(target=say_what_is_loaded, args=(("mlflow",),))
    child.start()
    child.join(120)
    assert child.exitcode == MISSING  # 190 MB that no run needs; and the answer can be no


def test_a_first_step_loads_next_to_nothing(context: ForkServerContext, tmp_path: Path) -> None:
    """Until its first step a run imports no package that the fork server has not, and a handful of modules at most."""
    small_dataset(tmp_path / "data")
    child = context.Process(target=note_modules, args=(tmp_path,))
    child.start()
    child.join(120)
    assert child.exitcode == 0
    before, loaded = ({*(tmp_path / name).read_text().split()} for name in ("before", "loaded"))
    assert {name.partition(".")[0] for name in loaded} <= {name.partition(".")[0] for name in before}
    assert len(loaded) < MOST_MODULES


def test_the_supervisor_is_small() -> None:
    """What `python -m worker` imports reaches neither torch nor MLflow: those are for its children and the keeper."""
    code = "import sys, worker.__main__; sys.exit(any(name in sys.modules for name in ('torch', 'mlflow')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_link_carries_steps_one_way_and_wishes_the_other(context: ForkServerContext, link: Link) -> None:
    """Shared memory reaches a child of the fork server, without a lock."""
    child = context.Process(target=step_until_told, args=(link,))
    child.start()
    until(lambda: link.beats > 3, what="a few steps")
    link.ask(Stop.NOW)
    child.join(10)
    assert child.exitcode == 0


def test_temporary_files_of_a_child_lie_in_its_folder(context: ForkServerContext, link: Link, tmp_path: Path) -> None:
    """Clips by the ten thousand go to the disk that was chosen for unfinished files, and not to a small /tmp."""
    child = context.Process(target=make_a_temporary_file, args=(link, tmp_path))
    child.start()
    child.join(60)
    assert child.exitcode == INSIDE


def test_a_child_ends_with_its_lease(child: ForkServerProcess, link: Link, tmp_path: Path) -> None:
    """When nobody renews the lease any more, the child stops computing and clears its folder away."""
    link.prolong(time.monotonic())
    child.join(10)
    assert child.exitcode == 75
    assert not tmp_path.exists()


def test_a_renewed_lease_keeps_a_child(child: ForkServerProcess, link: Link) -> None:
    """The child looks at the lease's end as it is now, not as it was at the start."""
    link.prolong(time.monotonic() + 0.5)
    for _ in range(5):
        time.sleep(0.2)
        link.prolong(time.monotonic() + 0.5)
    assert child.is_alive()


def test_children_of_a_killed_parent_end_themselves(tmp_path: Path) -> None:
    """`kill -9` of the supervisor's process leaves no child, no fork server and no file behind."""
    folder = tmp_path / "run"
    folder.mkdir()
    with subprocess.Popen([sys.executable, "-c", _PARENT, str(folder)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"alive\n"
        family = psutil.Process(parent.pid).children(recursive=True)
        assert len(family) >= 3  # resource tracker, fork server, child
        parent.kill()
    until(lambda: all_gone(family), within_s=10, what="the end of the family")
    assert not folder.exists()


_PARENT = f"""
import sys, time
sys.path.insert(0, {str(Path.cwd())!r})
from pathlib import Path
from tests.integration.worker.test_child import work_for_ever
from worker.child import forkserver
from worker.link import Link
context = forkserver()
link = Link(context, lease_end_s=time.monotonic() + 600)
child = context.Process(target=work_for_ever, args=(link, Path(sys.argv[1])))
child.start()
while not link.beats:
    time.sleep(0.05)
print("alive", flush=True)
time.sleep(600)
"""
