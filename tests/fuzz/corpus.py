"""Files to begin with: a sound one of each format that is read, some that are not, and bombs made by hand."""

import io
import pickle
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import savemat

from tests.small import patchy_source
from tests.unit.data import loggers
from tests.unit.data.factories import write_trial
from tests.unit.data.uploads import VALUES, axes, npy, samples, table, times

MEBIBYTE = 1 << 20
ESCAPE = "pskd-escaped"  # of each name that leads out of its folder
_OUTSIDE = ("../../../../{}", "/tmp/{}", "/{}", "..\\..\\{}", "C:\\{}", "a/../../../{}", "./{}/../../{}", "~/{}")


class Payload:
    """What would make a file if it were ever unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.target,))


def recordings(canary: Path) -> dict[str, bytes]:
    """By name. Whoever unpickles one of them makes `canary`."""
    columns = {"time (s)": times(), **axes()}
    text = table(columns)
    return {
        "plain.csv": text,
        "tabs.tsv": table(columns, delimiter="\t"),
        "german.csv": table(columns, delimiter=";").replace(b".", b","),
        "headless.csv": table(columns, header=False),
        "wide.csv": text.decode().encode("utf-16"),
        "marked.csv": b"\xef\xbb\xbf" + text,
        "f4.npy": npy(VALUES),
        "f8.npy": npy(np.asfortranarray(VALUES.astype(">f8"))),
        "i1.npy": npy((VALUES * 50).astype(np.int8)),
        "acc.npz": archive({"accelerometer.npy": npy(VALUES), "gyroscope.npy": npy(VALUES * 50)}),
        "small.mat": mat(compressed=True, d_iner=np.hstack([VALUES, VALUES * 50])),
        "large.mat": mat(compressed=False, d_iner=np.hstack([VALUES, VALUES * 50]), text="x", structure={"a": 1}),
        "list.json": str(VALUES.tolist()).encode(),
        "raw.f32": VALUES.tobytes(),
        "nothing.bin": b"",
        **loggers.whole(),
        **pickles(canary),
    }


def pickles(canary: Path) -> dict[str, bytes]:
    """The payload in every form that some reader of some library would load."""
    plain = pickle.dumps(Payload(canary))
    objects = np.array([[Payload(canary)] * 3] * 20, object)
    function = b"MATLAB 5.0".ljust(124) + b"\x00\x01IM" + struct.pack("<II", 14, len(plain)) + plain
    return {
        "evil.pkl": plain,
        "evil.npy": npy(objects),
        "evil.npz": archive({"accelerometer.npy": npy(objects)}),
        "evil.pt": archive({"archive/data.pkl": plain, "archive/version": b"3\n"}),
        "evil.mat": mat(compressed=True, d_iner=np.frombuffer(plain, np.uint8), cell=np.array([plain], object)),
        "opaque.mat": function,
        "member.npz": archive({"accelerometer.npy": plain, "evil.pkl": plain}),
    }


def datasets(canary: Path) -> dict[str, bytes]:
    """Archives of datasets by name: sound, with the payload in every member, with names that lead elsewhere."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_trial(folder / "utd", "a1_s1_t1")
        write_trial(folder / "utd", "a2_s2_t1", seed=1)
        own, utd = files_of(patchy_source(folder / "own")), files_of(folder / "utd")
    utd = {member: _undated(data) for member, data in utd.items()}
    evil = npy(np.array([Payload(canary)] * 3, object))
    loaded = {member: evil if member.endswith(".npy") else data for member, data in own.items()}
    outside = {place.format(*[ESCAPE] * 2): b"out" for place in _OUTSIDE}
    return {
        "own.zip": archive(own),
        "utd.zip": archive(utd),
        "evil-own.zip": archive(loaded | {"evil.pkl": pickle.dumps(Payload(canary)), "model.pt": evil}),
        "evil-utd.zip": archive(dict.fromkeys(utd, pickle.dumps(Payload(canary)))),
        "outside.zip": archive(own | outside),
        "link.zip": linked(own),
        "nested.zip": archive({"inner.zip": archive(own)}),
        "foreign.zip": archive({"readme.txt": b"hello"}),
    }


@cache
def bombs() -> dict[str, bytes]:
    """Small files that would take much of a careless reader: memory, time, or room on a disk."""
    zeros = zlib.compress(struct.pack("<II", 14, 1 << 26) + bytes(1 << 26), 1)
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': %s, }"
    matrix = b"MATLAB 5.0".ljust(124) + b"\x00\x01IM"
    return {
        "inflates.npz": archive({"acc.npy": npy(np.zeros((4_000_000, 3)))}),
        "inflates.mat": matrix + struct.pack("<II", 15, len(zeros)) + zeros,
        "layers.mat": matrix + layered(),
        "claims.mat": matrix + struct.pack("<II", 14, 0xFFFFFFF0) + bytes(64),
        "claims.npy": shaped(header % b"(999999999999, 3)"),
        "digits.npy": shaped(header % (b"(" + b"9" * 90 + b", 3)")),
        "deep.npy": shaped(b"(" * 60_000),
        "tall.npy": b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + bytes(64),
        "many.zip": archive({f"{number}.npy": b"" for number in range(30_000)}),
        "overlap.npz": overlapping(2000),
        "names.npz": archive({"a" * 60_000 + f"{number}.npy": b"" for number in range(20)}),
        "columns.csv": b",".join([b"x"] * 300_000) + b"\n" + b",".join([b"1"] * 300_000) + b"\n",
        "line.csv": b"1" * (4 * MEBIBYTE),
        "quote.csv": b'x,y,z\n"' + b"1,2,3\n" * 300_000,
        "nul.csv": b"x,y,z\n" + b"\0,\0,\0\n" * 1000,
        "digits.csv": b"x,y,z\n" + (b"1" * 100_000 + b",1,1\n") * 20,
        "brackets.csv": b"[" * 500_000,
        "ends.csv": b"\r" * (2 * MEBIBYTE),
        "deep.json": b"[" * 200_000 + b"]" * 200_000,
        "half.utf16": b"\xff\xfe" + b"\x00\xd8" * 100_000,
    }


def mat(*, compressed: bool, **variables: Any) -> bytes:
    stream = io.BytesIO()
    savemat(stream, variables, do_compression=compressed)  # type: ignore[arg-type]  # the stub knows no files
    return _undated(stream.getvalue())


def _undated(data: bytes) -> bytes:
    """A MATLAB file without the time that SciPy writes into it, so that a seed names its bytes."""
    return b"MATLAB 5.0".ljust(116) + data[116:] if data.startswith(b"MATLAB") else data


def archive(members: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)  # of a fixed date, so that a seed names its bytes
            info.compress_type = zipfile.ZIP_DEFLATED
            made.writestr(info, data)
    return stream.getvalue()


def files_of(folder: Path) -> dict[str, bytes]:
    """The files below a folder, by relative name."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*.*")) if file.is_file()}


def linked(members: Mapping[str, bytes]) -> bytes:
    """An archive in which further members are symbolic links out of it."""
    stream = io.BytesIO(archive(members))
    with zipfile.ZipFile(stream, "a") as made:
        for name in ("link.csv", "recordings"):
            link = zipfile.ZipInfo(name)
            link.create_system, link.external_attr = 3, 0o120777 << 16
            made.writestr(link, "/etc/passwd")
    return stream.getvalue()


def overlapping(times: int) -> bytes:
    """One stored member to which many entries of the directory point, so that a few bytes unpack to gigabytes."""
    whole = archive({"acc.npy": npy(np.zeros((200_000, 3), np.float32))})
    start = whole.index(b"PK\x01\x02")
    end = whole.index(b"PK\x05\x06")
    entries = b"".join(_renamed(whole[start:end], f"{number:03x}.npy".encode()) for number in range(times))
    tail = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, times, times, len(entries), start, 0)
    return whole[:start] + entries + tail


def _renamed(entry: bytes, name: bytes) -> bytes:
    return entry.replace(b"acc.npy", name)


def layered() -> bytes:
    """Elements that say that they are compressed within one another, 200 deep."""
    body = samples(4).tobytes()
    for _ in range(200):
        packed = zlib.compress(body)
        body = struct.pack("<II", 15, len(packed)) + packed
    return body


def shaped(header: bytes) -> bytes:
    """An array file of that header and nothing else."""
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", min(len(header), 0xFFFF)) + header
