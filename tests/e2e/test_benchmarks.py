"""The harness of the large dataset, on a small one."""

from pathlib import Path

from benchmarks.large import _bytes_below, _stage, measure


def test_it_measures_a_whole_import_and_an_epoch(tmp_path: Path) -> None:
    """Every clip arrives, some are tested, all figures are there, and 2 GB are far away."""
    found = measure(140, tmp_path)
    assert 0 < found["test_n"] < 140
    assert 0.9 < found["imported_bytes"] / found["given_bytes"] < 1.1
    assert all(found[f"{stage}_s"] > 0 for stage in ("import", "train", "epoch"))
    assert max(found["import_peak_bytes"], found["train_peak_bytes"]) < 1e9


def test_an_import_holds_no_samples(tmp_path: Path) -> None:
    """1,860 clips more cost it less memory than a fifth of their samples: one recording is read at a time."""
    peaks, given = [], []
    for clips in (140, 2000):
        folder = tmp_path / str(clips)
        _stage("write", str(folder), str(clips))
        given.append(_bytes_below(folder))
        peaks.append(_stage("import", str(folder), str(tmp_path / f"kept{clips}"))[1])
    assert peaks[1] - peaks[0] < (given[1] - given[0]) / 5
