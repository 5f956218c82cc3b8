"""`pskd classify --live`: samples from standard input, labels as they are found."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import isfinite
from select import select
from types import FrameType

import numpy as np
from numpy.typing import NDArray

from client import output
from client.api import Client
from client.errors import ClientError
from client.live import Asked, Began, Gap, LiveWindow, Told
from client.output import per_cent
from client.timeline import model_line

Samples = NDArray[np.float64]  # (n, 3) of x, y, z or (n, 4) of t, x, y, z

_CHUNK_BYTES = 2**16
_LONGEST_LINE = 1000  # letters
_SAMPLE_BYTES = 12  # x, y and z as float32


class NoSamples(ClientError):
    """What comes from standard input is not what a stream takes."""

    remedy = "send lines of x,y,z or t,x,y,z (t in seconds); with --raw little-endian float32 x, y, z"


def classify_live(service: Client, model: str, asked: Asked, *, raw: bool, as_json: bool) -> None:
    """Print a line a window until standard input ends, or Ctrl-C ends it; with `as_json` one object a line."""
    show = output.print_json_line if as_json else _print
    read = raw_samples if raw else line_samples
    with _interrupts() as stop:
        for told in service.live(model, read(_chunks(stop)), **asked):
            show(told)


def line_samples(chunks: Iterator[bytes]) -> Iterator[Samples]:
    """Samples (n, 3) or (n, 4) as soon as their lines have ended; a first line without any number is passed over.

    Raises:
        NoSamples: a line holds no sample, or not as many numbers as those before it.
    """
    number, width, rest = 0, 0, b""
    for chunk in _ended(chunks, b"\n"):
        *lines, rest = (rest + chunk).split(b"\n")
        rows: list[list[float]] = []
        try:
            for line in lines:
                number += 1
                text = line.decode(errors="replace").strip()
                if text and not (number == 1 and _is_header(text)):
                    rows.append(_sample(text, number, width))
                    width = len(rows[-1])
            if len(rest) > _LONGEST_LINE:
                raise NoSamples(f"line {number + 1} of standard input does not end within {_LONGEST_LINE} letters")
        finally:  # what came before a line that is none counts
            if rows:
                yield np.array(rows)


def raw_samples(chunks: Iterator[bytes]) -> Iterator[Samples]:
    """Samples (n, 3) from little-endian float32.

    Raises:
        NoSamples: the bytes end within a sample.
    """
    rest = b""
    for chunk in chunks:
        data = rest + chunk
        whole = len(data) - len(data) % _SAMPLE_BYTES
        rest = data[whole:]
        if whole:
            yield np.frombuffer(data[:whole], "<f4").reshape(-1, 3).astype(np.float64)
    if rest:
        raise NoSamples(f"standard input ends {len(rest)} bytes into a sample of {_SAMPLE_BYTES}")


def _sample(text: str, number: int, width: int) -> list[float]:
    try:
        values = [float(cell) for cell in text.split(",")]
    except ValueError:
        values = []
    if len(values) not in {3, 4} or not all(map(isfinite, values)):
        raise NoSamples(f"line {number} of standard input, {text[:80]!r}, is no sample")
    if width and len(values) != width:
        raise NoSamples(f"line {number} of standard input has {len(values)} numbers where those before have {width}")
    return values


def _is_header(text: str) -> bool:
    for cell in text.split(","):
        try:
            float(cell)
        except ValueError:
            continue
        return False
    return True


def _ended(chunks: Iterator[bytes], end: bytes) -> Iterator[bytes]:
    yield from chunks
    yield end  # of a last line that has none


def _chunks(stop: int) -> Iterator[bytes]:
    """What comes from standard input until its end, or until `stop` can be read.

    Python's own `stdin` would be locked while a thread waits for it, and the exit with it.
    """
    source = sys.stdin.fileno()
    while stop not in select([source, stop], [], [])[0] and (chunk := os.read(source, _CHUNK_BYTES)):
        yield chunk


@contextmanager
def _interrupts() -> Iterator[int]:
    """A descriptor that can be read from the first Ctrl-C on; the second one acts as ever."""
    stop, told = os.pipe()

    def note(_signal: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, before)
        os.write(told, b"\n")

    before = signal.signal(signal.SIGINT, note)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
        os.close(told)  # `stop` stays open: the thread that reads samples may still wait for it


def _print(told: Told) -> None:
    console: Callable[..., None] = output.stdout().print
    match told:
        case Began():
            cut = f"a label each {told.hop_s:.2f} s on the last {told.window_s:.2f} s; Ctrl-C ends it"
            output.stderr().print(f"{model_line(told.model)}\n{cut}", markup=False, style="dim")
        case LiveWindow():
            sure = "" if told.confidence is None else f"  confidence {per_cent(told.confidence)}"
            top = per_cent(next(iter(told.probabilities.values())))
            console(f"{told.start_s:8.1f} – {told.end_s:.1f} s  {told.label}  {top}{sure}", markup=False)
        case Gap():
            console(f"{told.start_s:8.1f} – {told.end_s:.1f} s  no samples", markup=False, style="yellow")
