"""Live samples by the SDK and by `pskd classify --live`, from a real service: labels, ends and breaks."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import ArrayLike
from typer.testing import CliRunner

from client.api import Client
from client.cli import app
from client.errors import Invalid, NotFound, StreamBroken, Unreachable
from client.live import Began, Gap, LiveWindow, Told
from store.settings import Settings
from tests.e2e.processes import eventually
from tests.integration.api.stored import Stored, Trees
from tests.integration.api.test_classify import RATE_HZ, as_csv, resting
from tests.integration.api.test_server import ROOT, answers, start
from tests.services import free_port

LIVE = ("classify", "--live", "--rate-hz", "50", "--unit", "g")


@contextmanager
def served(settings: Settings, trees: Trees) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """A service with the model `tiny`: its URL and its process."""
    stored = Stored(settings, trees)
    stored.dataset()
    stored.finished_job()
    stored.database.dispose()
    port = free_port()
    with start(settings, PSKD_PORT=str(port)) as process:
        try:
            assert eventually(lambda: answers(port), within_s=60)
            yield f"http://127.0.0.1:{port}", process
        finally:
            process.kill()


@pytest.fixture(scope="module")
def url(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory, trees: Trees) -> Iterator[str]:
    """Of a service that these tests share."""
    home = tmp_path_factory.mktemp("home")
    database_url = f"sqlite:///{shutil.copy(sqlite_template, home / 'pskd.db')}"
    with served(Settings(home=home, database_url=database_url, object_store_url=trees.url), trees) as (url, _):
        yield url


@contextmanager
def pskd(url: str, *arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
    """The command as a process, which is not there any more afterwards."""
    command = [sys.executable, "-W", "error", "-c", "from client.cli import app; app()", "--url", url, *arguments]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {"NO_COLOR": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def lines(values: np.ndarray) -> bytes:
    return "".join(f"{x},{y},{z}\n" for x, y, z in values).encode()


def send(process: "subprocess.Popen[bytes]", data: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(data)


def next_line(process: "subprocess.Popen[bytes]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().decode()


def rest_of(process: "subprocess.Popen[bytes]", data: bytes = b"") -> tuple[str, str]:
    """What is printed and told until the end, after `data` and the end of standard input."""
    out, errors = process.communicate(data, timeout=30)
    return out.decode(), errors.decode()


@pytest.mark.parametrize("timed", [False, True])
def test_the_sdk_streams(url: str, timed: bool) -> None:
    """Batches of samples get the windows that the same samples get as a file, with and without times."""
    values = resting(0, 1, 2, seconds=6)
    times = np.arange(len(values))[:, None] / RATE_HZ
    rows = np.hstack([times, values]) if timed else values
    with Client(url) as service:
        began, *windows = service.live("tiny", np.array_split(rows, 10), rate_hz=50, unit="g", overlap=0.25)
        offline = service.classify("tiny", as_csv(values), overlap=0.25)
    assert isinstance(began, Began)
    assert began.model.name == "tiny"
    assert len(windows) >= 3
    for window, same in zip(windows, offline.windows, strict=False):
        assert isinstance(window, LiveWindow)
        assert window.probabilities == pytest.approx(same.probabilities, abs=1e-6)
        assert [window.start_s, window.end_s] == pytest.approx([same.start_s, same.end_s])
        assert window.label == same.label


def test_the_sdk_tells_of_gaps(url: str) -> None:
    """A silence of the sensor's clock is told between the windows around it."""
    values = resting(0, 1, seconds=6)
    rows = np.column_stack([np.arange(len(values)) / RATE_HZ + 5.0 * (np.arange(len(values)) >= 300), values])
    with Client(url) as service:
        told = list(service.live("tiny", [rows], rate_hz=50, unit="g"))
    (gap,) = (each for each in told if isinstance(each, Gap))
    assert [gap.start_s, gap.end_s] == pytest.approx([5.98, 11.0])
    assert isinstance(told[-1], LiveWindow)


def test_the_sdk_raises_what_ends_a_stream(url: str) -> None:
    """A model that is not there, an option out of range, a sample that is none, a source that fails, no service."""
    still = resting(0, seconds=6)

    def failing() -> Iterator[ArrayLike]:
        yield still
        raise OSError("the sensor is gone")

    def windows(service: Client, samples: Iterable[ArrayLike], model: str = "tiny", rate_hz: float = 50) -> list[Told]:
        return [told for told in service.live(model, samples, rate_hz=rate_hz, unit="g") if told.kind == "window"]

    with Client(url) as service:
        with pytest.raises(NotFound, match="absent"):
            windows(service, [still], model="absent")
        with pytest.raises(Invalid) as invalid:
            windows(service, [still], rate_hz=0)
        assert "rate_hz" in str(invalid.value.faults)
        with pytest.raises(StreamBroken, match="state the unit") as broken:
            windows(service, [1e6 * still])
        assert (broken.value.code, "mend" in broken.value.remedy) == (1007, True)
        stream = service.live("tiny", failing(), rate_hz=50, unit="g")
        before = [next(stream) for _ in range(1 + len(windows(service, [still])))]
        assert before[-1].kind == "window"
        with pytest.raises(OSError, match="the sensor is gone"):
            next(stream)
        with pytest.raises(ValueError, match=r"shape \(3,\)"):
            windows(service, [still[0]])
    with Client(f"http://127.0.0.1:{free_port()}") as service, pytest.raises(Unreachable):
        windows(service, [still])


def test_the_command_labels_lines_until_interrupted(url: str) -> None:
    """A window is printed while samples still come; Ctrl-C has the rest labelled that smoothing held back."""
    with pskd(url, *LIVE, "--smooth-s", "4") as process:
        send(process, b"x,y,z\n" + lines(resting(1, seconds=12)))
        assert "along_y" in next_line(process)
        process.send_signal(signal.SIGINT)
        rest, errors = rest_of(process)
    assert process.returncode == 0, errors
    assert rest.count("along_y") > 1
    assert "tiny version 1" in errors
    assert "Traceback" not in errors


def test_the_command_reads_float32_and_writes_json(url: str) -> None:
    """With --raw and --json the stream's own messages come out, one a line, and the end of input ends it."""
    with pskd(url, *LIVE, "--raw", "--json") as process:
        out, errors = rest_of(process, resting(2, seconds=8).astype("<f4").tobytes())
    began, *windows = map(json.loads, out.splitlines())
    assert (process.returncode, errors, began["kind"]) == (0, "", "began")
    assert {(each["kind"], each["label"]) for each in windows} == {("window", "along_z")}


def test_the_command_names_a_bad_line_after_the_labels_before_it(url: str) -> None:
    """What was measured before a line that is none is not lost, and the line and its remedy are told."""
    with pskd(url, *LIVE) as process:
        out, errors = rest_of(process, lines(resting(0, seconds=6)) + b"0,0\n")
    assert process.returncode == 1
    assert "along_x" in out
    assert "line 301 of standard input, '0,0', is no sample" in errors
    assert "remedy: send lines of x,y,z" in errors


@pytest.mark.parametrize(("how", "told"), [(signal.SIGTERM, "ended the stream"), (signal.SIGKILL, "broke off")])
def test_the_command_says_that_the_service_is_gone(
    settings: Settings, trees: Trees, how: signal.Signals, told: str
) -> None:
    """While standard input stays open and silent, the end of the service ends the command, with a remedy."""
    with served(settings, trees) as (url, server), pskd(url, *LIVE) as process:
        send(process, lines(resting(0, seconds=6)))
        assert "along_x" in next_line(process)
        server.send_signal(how)
        code = process.wait(timeout=30)
        assert process.stderr is not None
        errors = process.stderr.read().decode()
    assert code == 1
    assert told in errors
    assert "remedy: " in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    "arguments",
    [
        ("--live",),
        ("--live", "--rate-hz", "50"),
        (*LIVE[1:], __file__),
        (*LIVE[1:], "--csv"),
        (*LIVE[1:], "--columns", "1,2,3"),
        ("--raw", __file__),
        (),
    ],
)
def test_wrong_usage_is_told(arguments: tuple[str, ...]) -> None:
    """What does not go together, or is missing, ends with exit code 2 before anything is sent."""
    found = CliRunner().invoke(
        app, ["--url", f"http://127.0.0.1:{free_port()}", "classify", "--model", "tiny", *arguments]
    )
    assert found.exit_code == 2, found.output
