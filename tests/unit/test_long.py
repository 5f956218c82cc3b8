"""Long recordings, labelled into files."""

import json
from pathlib import Path

import numpy as np
import pytest

from pskd_core.data.recordings import read_recording
from pskd_core.inference import classify
from pskd_core.long import SEGMENTS_FILE, WINDOWS_FILE, Reading, classify_long
from tests.bundles import made_bundle, still


@pytest.mark.parametrize("options", [{}, {"top_k": 2, "overlap": 0.8, "smooth_s": 6.0}])
def test_the_files_hold_what_classify_answers(tmp_path: Path, options: dict[str, float]) -> None:
    """Windows, segments and the overall judgement of a long recording are those of the recording as a whole."""
    bundle, path, folder = made_bundle(tmp_path), tmp_path / "day.npy", tmp_path / "out"
    folder.mkdir()
    noise = np.random.default_rng(3).normal(0, 0.4, (60 * 50, 3)).astype(np.float32)
    np.save(path, np.concatenate([still(axis, 20) for axis in (0, 1, 2)]) + noise)
    found = classify_long(bundle, path, folder, Reading.model_validate({"rate_hz": 50, "unit": "g", **options}))
    whole = classify(bundle, read_recording(path, rate_hz=50, unit="g"), **options)  # type: ignore[arg-type]  # top_k is whole
    expected = whole.model_dump(mode="json")
    for name, file in (("windows", WINDOWS_FILE), ("segments", SEGMENTS_FILE)):
        lines = [json.loads(line) for line in (folder / file).read_text().splitlines()]
        assert lines == expected.pop(name)
        assert getattr(found, name) == len(lines) > 1
    overview = found.model_dump(mode="json", exclude={"windows", "segments", "shares"})
    assert overview == expected
    assert sum(found.shares.values()) == pytest.approx(1)
    for label, share in found.shares.items():
        took_s = sum(each.end_s - each.start_s for each in whole.segments if each.label == label)
        assert share == pytest.approx(took_s / 60, abs=1e-9)
    assert sorted(path.name for path in folder.iterdir()) == [SEGMENTS_FILE, WINDOWS_FILE]


def test_what_is_told_grows_to_the_whole_and_may_end_the_work(tmp_path: Path) -> None:
    """Progress is in order; and whoever is told may stop it by raising, which leaves no samples behind."""
    bundle, path, folder = made_bundle(tmp_path), tmp_path / "day.npy", tmp_path / "out"
    folder.mkdir()
    np.save(path, np.tile(still(0, 30), (100, 1)))
    told: list[float] = []
    classify_long(bundle, path, folder, Reading(rate_hz=50, unit="g"), told=told.append)
    assert told == sorted(told)
    assert told[-1] == 1

    def stop(share: float) -> None:
        if share > 0.6:
            raise InterruptedError

    (folder / WINDOWS_FILE).unlink()
    with pytest.raises(InterruptedError):
        classify_long(bundle, path, folder, Reading(rate_hz=50, unit="g"), told=stop)
    assert [each.name for each in folder.iterdir()] == [SEGMENTS_FILE]
