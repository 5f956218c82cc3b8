"""Small files that would take much: each is refused by counting, in a process with little memory."""

import io
import json
import stat
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from api.readers import ReaderLimits, Readers
from pskd_core.errors import DataError
from tests.fuzz.corpus import MEBIBYTE, archive, bombs, files_of, mat, overlapping, pickles
from tests.meta.project import ROOT
from tests.small import patchy_source
from tests.unit.data.factories import write_trial
from tests.unit.data.uploads import VALUES, npy

_MEMORY = 640 * MEBIBYTE  # of addresses, of which NumPy, Arrow and their like take half
_RESIDENT_MIB = 320
_ROWS = 10_007


def stored(members: Mapping[str, bytes]) -> bytes:
    """A zip that compresses nothing."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        for name, data in members.items():
            made.writestr(name, data)
    return stream.getvalue()


def named(*names: str) -> bytes:
    """A zip of sound arrays whose names may be anything."""
    return stored({name: npy(VALUES) for name in names})


def twice() -> bytes:
    """Two members of one name."""
    return named("a.npy", "b.npy").replace(b"b.npy", b"a.npy")


def link() -> bytes:
    """A member that is a symbolic link."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        entry = zipfile.ZipInfo("acc.npy")
        entry.create_system, entry.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        made.writestr(entry, "/etc/passwd")
    return stream.getvalue()


def many(entries: int) -> bytes:
    """A directory of so many entries, all of the same empty file."""
    whole = archive({"a": b""})
    start, end = whole.index(b"PK\x01\x02"), whole.index(b"PK\x05\x06")
    directory = whole[start:end] * entries
    tail = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, entries & 0xFFFF, entries & 0xFFFF, len(directory), start, 0)
    return whole[:start] + directory + tail


def lying(name: str, content: bytes, claimed: int) -> bytes:
    """A zip whose directory says that its member inflates to `claimed` bytes only."""
    data = bytearray(archive({name: content}))
    entry = data.index(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = struct.pack("<I", claimed)
    return bytes(data)


def mat_of(kind: int, body: bytes) -> bytes:
    """A MATLAB file of one element."""
    return b"MATLAB 5.0".ljust(124) + b"\x00\x01IM" + struct.pack("<II", kind, len(body)) + body


def parquet_of(rows: int, **claims: int) -> bytes:
    """A Parquet file of equal rows, whose `first` or `all` counts of rows are replaced in its footer."""
    stream = io.BytesIO()
    column = pa.array(np.ones(rows, np.float32))
    parquet.write_table(pa.table({"x": column, "y": column, "z": column}), stream, row_group_size=rows)
    data = stream.getvalue()
    if not claims:
        return data
    (length,) = struct.unpack("<I", data[-8:-4])
    ((place, claimed),) = claims.items()
    footer = data[-8 - length : -8]
    changed = footer.replace(_varint(rows), _varint(claimed), 1 if place == "first" else -1)
    assert changed != footer
    return data[: -8 - length] + changed + struct.pack("<I", len(changed)) + b"PAR1"


def _varint(number: int) -> bytes:
    """As Thrift's compact protocol writes a field of 64 bits that follows another."""
    left, found = number << 1, b"\x16"
    while left > 127:
        found += bytes([left & 127 | 128])
        left >>= 7
    return found + bytes([left])


ZIPS: dict[str, tuple[bytes, str]] = {
    "ratio": (archive({"walk.csv": b"0" * (64 * MEBIBYTE)}), "walk.csv would inflate to 67108864 bytes, more than 200"),
    "total": (
        archive({f"{number}.csv": b"0" * (4 * MEBIBYTE) for number in range(10)}),
        "its 10 files would inflate to 41943040 bytes",
    ),
    "overlap": (overlapping(2000), "takes bytes of another of its 2000 files"),
    "links": (link(), "acc.npy is a link"),
    "twice": (twice(), "two of its files are called a.npy"),
    "above": (named("../a.npy"), "leads out of the archive"),
    "inside": (named("a/../../b.npy"), "leads out of the archive"),
    "absolute": (named("/etc/a.npy"), "leads out of the archive"),
    "drive": (named("C:\\a.npy"), "leads out of the archive"),
    "backslash": (named("..\\a.npy"), "leads out of the archive"),
}
FILES: dict[str, tuple[bytes, str]] = {
    "inflates.npz": (bombs()["inflates.npz"], "acc.npy would inflate to 96000128 bytes"),
    "claims.npz": (archive({"acc.npy": bombs()["claims.npy"]}), "more than the"),
    "claims.npy": (bombs()["claims.npy"], "a damaged .npy file"),
    "digits.npy": (bombs()["digits.npy"], "a damaged .npy file"),
    "tall.npy": (bombs()["tall.npy"], "not one plain array of numbers"),
    "deep.npy": (bombs()["deep.npy"], "not one plain array of numbers"),
    "pickle.npy": (pickles(Path("/nowhere"))["evil.npy"], "pickled objects are never loaded"),
    "pickle.npz": (pickles(Path("/nowhere"))["evil.npz"], "pickled objects are never loaded"),
    "lying.npz": (lying("acc.npy", npy(np.zeros((500_000, 3))), 1000), "damaged"),
    "many.npz": (many(100_001), "a zip of more than"),
    "line.csv": (b"x,y,z\n" + b"1" * (3 * MEBIBYTE), "row 2: a line of more than 2097152 characters"),
    "quote.csv": (b'x,y,z\n"' + b"1,2,3\n" * 300_000, "row 2: a quote is opened and not closed"),
    "columns.csv": (bombs()["columns.csv"], "row 1: 300000 columns are more than the"),
    "rows.parquet": (parquet_of(10_000_001), "10000001 rows are more than the 10000000"),
    "hidden.parquet": (parquet_of(10_000_001, first=100), "10000001 rows are more than the 10000000"),
    "claims.parquet": (parquet_of(_ROWS, all=3_000_000_000), "rows are more than the 10000000"),
}
MATS: dict[str, tuple[bytes, str]] = {
    "inflates.mat": (bombs()["inflates.mat"], "bytes would inflate to 67108864, more than 200 times as many"),
    "claims.mat": (
        mat_of(15, zlib.compress(struct.pack("<II", 14, 0xFFFFFFF0))),
        "inflates to more than 536870912 bytes",
    ),
    "less.mat": (mat_of(15, zlib.compress(struct.pack("<II", 14, 8) + bytes(MEBIBYTE))), "holds more or less than it"),
    "more.mat": (mat_of(15, zlib.compress(struct.pack("<II", 14, 4096) + bytes(8))), "holds more or less than it says"),
    "layers.mat": (bombs()["layers.mat"], "damaged"),
    "cut.mat": (bombs()["claims.mat"], "4294967280 bytes announced, 64 left"),
    "objects.mat": (mat(compressed=True, a=np.array([{"b": 1}], object)), "it holds nothing numeric"),
    "function.mat": (pickles(Path("/nowhere"))["opaque.mat"], "."),
    "7.3.mat": (b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + b"\x89HDF\r\n\x1a\n" + bytes(600), "save it again"),
    "chunks.mat": (b"\x89HDF\r\n\x1a\n" + b"\xff" * 600, "save it again with"),
}
CLASSIFIED = {
    **{f"{name}.zip": bomb for name, bomb in ZIPS.items()},
    **FILES,
    **MATS,
    "nested.zip": (archive({"inner.zip": ZIPS["ratio"][0]}), "it holds nothing numeric"),
    "deep.json": (bombs()["deep.json"], "."),
    "nul.csv": (bombs()["nul.csv"], "not a recording"),
    "half.utf16": (bombs()["half.utf16"], "."),
}


@pytest.fixture(scope="module")
def readers() -> Iterator[Readers]:
    """One process with little memory; whoever makes it run out of that ends it."""
    pool = Readers(1, ReaderLimits(memory_bytes=_MEMORY, timeout_s=60))
    yield pool
    pool.close()


@pytest.mark.parametrize("name", CLASSIFIED)
def test_a_bomb_to_classify_is_refused_by_counting(readers: Readers, name: str) -> None:
    """The refusal names file, limit and place, and the process that read it lives on within 640 MiB of addresses."""
    data, message = CLASSIFIED[name]
    with readers.reader() as reader, TemporaryFile() as file:
        file.write(data)
        with pytest.raises(DataError, match=message) as refused:
            reader.read(file, filename=name, rate_hz=50, unit=None)
        assert reader.usable
    assert str(refused.value).startswith(name)
    assert "MiB of memory" not in str(refused.value)


def own(folder: Path, bomb: tuple[str, bytes] | None) -> dict[str, bytes]:
    """Somebody's own data, in which one file of samples is a bomb."""
    files = files_of(patchy_source(folder))
    if bomb is not None:
        name, data = bomb
        rows = files["recordings.csv"].decode().splitlines()
        path = rows[1].split(",")[4]
        files["recordings.csv"] = "\n".join(rows).replace(path, name, 1).encode()
        files[name] = data
    return files


def utd(folder: Path, bomb: bytes) -> dict[str, bytes]:
    """UTD-MHAD, in which one file is a bomb."""
    write_trial(folder, "a1_s1_t1")
    write_trial(folder, "a2_s2_t1", seed=1)
    files = files_of(folder)
    return files | {next(name for name in files if "inertial" in name): bomb}


_IMPORT = """
import json, resource, sys
from pathlib import Path
from pskd_core.data.importing import import_dataset
from pskd_core.errors import DataError
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]),) * 2)
said = {}
for upload in sorted(Path(sys.argv[2]).glob("*.zip")):
    try:
        report = import_dataset(upload, upload.with_suffix(""), label=upload.name)
        said[upload.name] = " | ".join(problem.detail for problem in report.problems)
    except DataError as refused:
        said[upload.name] = str(refused)
# Of this process alone: getrusage counts what its parent had when it began.
(peak,) = [line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
print(json.dumps({"said": said, "peak_mib": int(peak) >> 10}))
"""


def test_bombs_in_datasets_are_refused_by_counting(tmp_path: Path) -> None:
    """As an archive, or as one file of a sound one: each is named with its limit, and 320 MiB suffice for all."""
    (uploads := tmp_path / "uploads").mkdir()
    expected: dict[str, str] = {}

    def put(name: str, data: bytes, message: str) -> None:
        (uploads / name).write_bytes(data)
        expected[name] = message

    for name, (data, message) in ZIPS.items():
        put(f"{name}.zip", data, message)
    put("count.zip", many(1_000_001), "a zip of more than 1000000 files")
    put("nested.zip", archive({"inner.zip": ZIPS["ratio"][0]}), "found 1 files: inner.zip")
    for number, (name, (data, message)) in enumerate(FILES.items()):
        said = "300000 columns" if name == "columns.csv" else message.split(": ", 1)[-1]
        # It must not look like a bomb to its zip, so it is stored in it.
        put(f"own-{name}.zip", stored(own(tmp_path / f"own{number}", (name, data))), said)
    for number, name in enumerate(("inflates.mat", "claims.mat", "less.mat", "layers.mat", "cut.mat", "chunks.mat")):
        message = "inflates to more than 1048576" if name in {"inflates.mat", "claims.mat"} else MATS[name][1]
        put(f"utd-{name}.zip", stored(utd(tmp_path / f"utd{number}", MATS[name][0])), message)
    ended = subprocess.run(
        [sys.executable, "-c", _IMPORT, str(2 * _MEMORY), str(uploads)],
        cwd=ROOT, capture_output=True, check=False, timeout=300, text=True,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-2000:]
    found = json.loads(ended.stdout.splitlines()[-1])
    assert {name: said for name, said in found["said"].items() if expected[name] not in said} == {}
    assert found["said"].keys() == expected.keys()
    assert found["peak_mib"] < _RESIDENT_MIB
