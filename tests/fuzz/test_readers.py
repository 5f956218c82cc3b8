"""Damage to every format that is read, without a service: it ends in a recording or in a refusal of the data."""

import random
from pathlib import Path

import numpy as np
import pytest

from pskd_core.data.recordings import read_recording
from pskd_core.errors import DataError
from tests.fuzz.corpus import recordings
from tests.fuzz.mutate import mutated

_TIMES = 200  # of each file


def test_no_mutation_ends_in_anything_but_a_recording_or_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changed, lost, doubled and foreign bytes in each format give finite samples or an error that names the file."""
    monkeypatch.chdir(tmp_path)
    canary = Path("canary")  # relative, so that a number names the same bytes in whatever folder the test runs
    files = recordings(canary)
    read, refused = 0, []
    for number, (name, data) in enumerate(files.items()):
        chance = random.Random(number)  # noqa: S311 - repeatable
        for _ in range(_TIMES):
            _, damaged = mutated({name: data}, chance)
            try:
                recording = read_recording(damaged, filename=name)
            except DataError as error:
                refused.append((name, error.file or ""))
            else:
                assert np.isfinite(recording.values_g).all()
                read += 1
    assert min(read, len(refused)) > len(files)
    assert all(said.startswith(name) for name, said in refused)
    assert not canary.exists()
