"""Damage, as accidents and attackers do it: each mutation follows from a seed and a number."""

import io
import random
import struct
import zipfile
from collections.abc import Mapping, Sequence

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.fuzz.corpus import archive
from tests.unit.data.uploads import npy

_NUMBERS = (0, 1, 2, 7, 8, 127, 128, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**32 - 8)
_WORDS = (
    b"nan", b"-inf", b"1e999", b"1e-999", b"9" * 400, b"0x10", b"1_0", b"\0", b'"', b"\xff", b"\xc3", b"=cmd()", b"",
    b"\r", b",,,,", b"x,y,z", b"\xe2\x80\xae", b"1.5.5", b"  ", b"2026-01-01T00:00:00Z", b"\xd9\xa1",
)  # fmt: skip


def mutated(corpus: Mapping[str, bytes], chance: random.Random) -> tuple[str, bytes]:
    """The name of a file of the corpus, and that file with one to four pieces of damage."""
    name = chance.choice(list(corpus))
    data = corpus[name]
    if data.startswith(b"PK") and chance.random() < 0.5:
        return name, _inside(data, chance)
    for _ in range(chance.randint(1, 4)):
        data = _damaged(data, chance, corpus)
    return name, data


def _damaged(data: bytes, chance: random.Random, corpus: Mapping[str, bytes]) -> bytes:
    if not data:
        return chance.randbytes(chance.randint(1, 64))
    at, end = sorted((chance.randrange(len(data)), chance.randrange(len(data))))
    match chance.randrange(9):
        case 0:
            return _flipped(data, chance)
        case 1:
            return data[:at]
        case 2:
            return data[:at] + data[end:]
        case 3:
            return data[:end] + data[at : at + 4096] * chance.randint(1, 20) + data[end:]
        case 4 | 5:
            return _number(data, chance)
        case 6:
            other = corpus[chance.choice(list(corpus))]
            return data[:at] + other[chance.randrange(len(other) or 1) :]
        case 7:
            return data[:at] + chance.choice(_WORDS) + data[end if chance.random() < 0.3 else at :]
        case _:
            return data[:at] + chance.randbytes(min(end - at, 64)) + data[end:]


def _flipped(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    # Headers decide more than samples do, so half of the flips fall there.
    within = min(len(data), 256) if chance.random() < 0.5 else len(data)
    for _ in range(chance.randint(1, 8)):
        changed[chance.randrange(within)] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _number(data: bytes, chance: random.Random) -> bytes:
    """A number of two, four or eight bytes in the place of a length, an offset or a size."""
    form = chance.choice(("<H", "<I", ">I", "<Q"))
    most = 256 ** struct.calcsize(form) - 1
    place = chance.randrange(min(len(data), chance.choice((160, 400, len(data)))))
    place -= place % chance.choice((1, 2, 4))
    new = struct.pack(form, min(chance.choice(_NUMBERS), most))
    return data[:place] + new + data[place + len(new) :]


def _inside(data: bytes, chance: random.Random) -> bytes:
    """An archive that is whole, with members that are damaged, gone, doubled or renamed."""
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        members = {info.filename: opened.read(info) for info in opened.infolist() if info.file_size < 2**20}
    if not members:
        return _flipped(data, chance)
    for _ in range(chance.randint(1, 3)):
        name = chance.choice(list(members))
        match chance.randrange(4):
            case 0 if len(members) > 1:
                del members[name]
            case 1:
                members[f"../{name}" if chance.random() < 0.5 else name.upper()] = members[name]
            case _:
                members[name] = _damaged(members[name], chance, members)
    return archive(members)


def drawn(count: int, *, start: int) -> Sequence[bytes]:
    """Files of values that hypothesis finds interesting: arrays of any shape and type, tables of any fields."""
    found: list[bytes] = []
    cells = st.one_of(st.floats().map(repr), st.integers().map(str), st.text(max_size=6))
    rows = st.lists(st.lists(cells, min_size=1, max_size=5).map(",".join), max_size=40).map("\n".join)
    shape = st.one_of(
        st.tuples(st.integers(0, 40), st.sampled_from((3, 6))), arrays.array_shapes(max_dims=4, max_side=8)
    )
    dtype = st.one_of(
        arrays.floating_dtypes(), arrays.integer_dtypes(), arrays.boolean_dtypes(), arrays.unicode_string_dtypes()
    )
    plain = arrays.arrays(dtype, shape).map(lambda array: npy(np.asarray(array)))
    text = st.builds("{}\n{}".format, st.sampled_from(("x,y,z", "time,x,y,z", "a", "")), rows)
    files = st.one_of(plain, text.map(lambda written: written.encode(errors="replace")), st.binary(max_size=300))

    @seed(start)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(files)
    def draw(data: bytes) -> None:
        found.append(data)

    draw()
    return found
