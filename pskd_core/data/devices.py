"""Recordings of devices with file formats of their own: GENEActiv `.bin` and Axivity `.cwa`.

They are read by actfast, which is written in Rust: a damaged file meets no pointer arithmetic.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import actfast
import numpy as np

from pskd_core.data.problems import finite_float32
from pskd_core.data.series import Format, Series
from pskd_core.errors import DataError

GENEACTIV, AXIVITY = b"Device Identity", b"MD\xfc\x03"  # how their files begin
_FORMATS: Mapping[str, Format] = {
    "GeneActiv BIN": "geneactiv_bin",
    "Axivity CWA": "axivity_cwa",
}
_HEAD_BYTES = 1 << 16  # a header has 59 short lines
_PAGES = re.compile(rb"Number of Pages:\s*(\d+)")
_MOST_PAGES = 250_000  # nine days at 85.7 Hz fill 222,048; the library sets memory aside for each that is announced
_AXES = ("acceleration x", "acceleration y", "acceleration z")


def read_device(data: bytes | Path, *, file: str | None) -> Series:
    """The acceleration in such a file, given by its content or by its place.

    Raises:
        DataError: it is damaged beyond use, or holds no acceleration.
    """
    with _on_disk(data) as path:
        _refuse_pages(path, file)
        found = _read(path, file)
    tables = [table for table in found["timeseries"].values() if "acceleration" in table]
    if len(tables) != 1 or not len(tables[0]["acceleration"]):
        raise DataError(
            "it holds no samples of an accelerometer that can be read; copy it from the device again", file=file
        )
    values = finite_float32(tables[0]["acceleration"], _AXES, file=file).astype(np.float64)
    moments = tables[0]["datetime"]
    return Series(
        values=values,
        columns=_AXES,
        format=_FORMATS[found["format"]],
        unit="g",
        time_s=(moments - moments[0]) / 1e9,
        time_column="the device's clock",
        warnings=tuple(_doubts(found)),
        repairs=_repairs(found["warnings"]),
    )


def _refuse_pages(path: Path, file: str | None) -> None:
    with path.open("rb") as opened:
        head = opened.read(_HEAD_BYTES)
        opened.seek(0)
    announced = max((int(pages[:19]) for pages in _PAGES.findall(head)), default=0)
    if head.startswith(GENEACTIV) and announced > _MOST_PAGES:
        detail = f"its header announces {announced} pages, more than the {_MOST_PAGES} of a full device; copy it again"
        raise DataError(detail, file=file)


def _read(path: Path, file: str | None) -> Mapping[str, Any]:
    try:
        return actfast.read(path, lenient=True)
    except (ValueError, OSError) as damaged:
        detail = f"damaged ({_without(path, str(damaged))}); copy it from the device again"
        raise DataError(detail, file=file) from damaged
    except BaseException as fault:
        # What its authors did not foresee ends in a panic, which Python sees as an exception beside `Exception`.
        if type(fault).__name__ != "PanicException":
            raise
        raise DataError("damaged beyond reading; copy it from the device again", file=file) from fault


@contextmanager
def _on_disk(data: bytes | Path) -> Iterator[Path]:
    """A place that the library can open."""
    if isinstance(data, Path):
        yield data
        return
    with NamedTemporaryFile() as copy:
        copy.write(data)
        copy.flush()
        yield Path(copy.name)


def _without(path: Path, message: str) -> str:
    """A message on one short line that names no place of this machine."""
    return re.sub(r"\s+", " ", message.replace(os.fspath(path), "the file"))[:200]


def _repairs(damages: list[str]) -> tuple[str, ...]:
    if not damages:
        return ()
    return (f"{len(damages)} damaged parts were left out: {'; '.join(damages[:3])}{'; …' if len(damages) > 3 else ''}",)


def _doubts(found: Mapping[str, Any]) -> Iterator[str]:
    announced = found["metadata"].get("Memory Status", {}).get("Number of Pages", "")
    held = len(found["timeseries"].get("low_frequency", {}).get("datetime", ()))
    if found["format"] == "GeneActiv BIN" and announced.isdecimal() and int(announced[:9]) > held:
        yield f"the header announces {announced[:9]} pages and the file holds {held}: the rest is missing"
