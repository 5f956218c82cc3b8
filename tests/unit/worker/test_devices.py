"""Which GPUs a worker's slots have."""

from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from worker.devices import VISIBLE, Shares, restrict, visible


def test_the_operator_names_devices_or_the_system_has_them(tmp_path: Path) -> None:
    """CUDA_VISIBLE_DEVICES is obeyed, also an empty one; else every device file counts, in order."""
    for name in ("nvidia10", "nvidia0", "nvidia2", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    assert visible({VISIBLE: "3, GPU-5f,"}, tmp_path) == ("3", "GPU-5f")
    assert visible({VISIBLE: ""}, tmp_path) == ()
    assert visible({}, tmp_path) == ("0", "2", "10")


def test_slots_share_no_device() -> None:
    """Whoever holds a slot has its devices alone; given back, they serve the next run."""
    shares = Shares(["7", "9", "11"], slots=2)
    with shares.share() as first:
        with shares.share() as second:
            assert (first, second) == (("7", "11"), ("9",))
        with shares.share() as third:
            assert third == second


def test_a_slot_without_a_device_is_refused() -> None:
    """More slots than GPUs would have two runs on one of them; without GPUs there is nothing to share out."""
    with pytest.raises(ValueError, match="PSKD_RUNS_AT_ONCE"):
        Shares(["7"], slots=2)
    with Shares([], slots=2).share() as none:
        assert none == ()


def _say(pipe: Connection, devices: tuple[str, ...]) -> None:
    restrict(devices)
    import os  # noqa: PLC0415

    pipe.send(os.environ.get(VISIBLE))


@pytest.mark.parametrize(("devices", "seen"), [(("9", "11"), "9,11"), ((), "0,1")])
def test_a_run_sees_its_devices_alone(monkeypatch: pytest.MonkeyPatch, devices: tuple[str, ...], seen: str) -> None:
    """The run's process is restricted to its slot's devices; without any it finds what the worker was given."""
    monkeypatch.setenv(VISIBLE, "0,1")
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_say, args=(theirs, devices))
    process.start()
    assert ours.recv() == seen
    process.join()
