"""Several persons in one recording, from a user's files to a teacher that sees them all."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from pskd_core.config import Augment, parse_spec
from pskd_core.data.augment import augment_batch
from pskd_core.data.batches import channel_statistics, prepare_clips
from pskd_core.data.columnar import Dataset, SkeletonInfo
from pskd_core.data.importing import import_dataset
from pskd_core.data.preprocess import prepare_skeleton
from pskd_core.data.splits import plan_folds
from pskd_core.run import Run
from pskd_core.shapes import FloatArray

JOINTS = ("hip", "chest", "hand")
INFO = SkeletonInfo(joints=JOINTS, bones=((1, 0), (2, 1)), centre=0, persons=2)
SPEC: dict[str, Any] = {
    "name": "meetings",
    "classes": ["greet", "hand_over"],
    "sensors": {"accelerometer": {"unit": "g", "rate_hz": 50}},
    "skeleton": {
        "joints": list(JOINTS),
        "bones": [["chest", "hip"], ["hand", "chest"]],
        "centre": "hip",
        "unit": "m",
        "rate_hz": 30,
        "persons": 2,
    },
}


def positions(seed: int = 0, frames: int = 60) -> FloatArray:
    return np.random.default_rng(seed).normal(2, 1, (frames, 2, 3, 3)).astype(np.float32)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Eight recordings of two people: arrays of two persons, but for r0, a CSV in which the second is missing."""
    folder = tmp_path / "given"
    folder.mkdir()
    (folder / "dataset.yaml").write_text(yaml.safe_dump(SPEC))
    rows = ["id,subject,label,accelerometer,skeleton"]
    for number in range(8):
        np.save(folder / f"w{number}.npy", np.random.default_rng(number).normal(size=(100, 3)))
        np.save(folder / f"s{number}.npy", positions(number))
        kind = "csv" if number == 0 else "npy"
        rows.append(f"r{number},s{number % 4 // 2},{SPEC['classes'][number % 2]},w{number}.npy,s{number}.{kind}")
    names = [f"person{person}.{joint}.{axis}" for person in (1, 2) for joint in JOINTS for axis in "xyz"]
    table = positions(0).reshape(60, -1).astype("U12").astype(object)
    table[:, 9:] = ""
    (folder / "s0.csv").write_text("\n".join(",".join(row) for row in [names, *table.tolist()]))
    (folder / "recordings.csv").write_text("\n".join(rows))
    report = import_dataset(folder, tmp_path / "kept")
    assert [problem.detail for problem in report.problems if problem.file and "s0" not in problem.file] == []
    return Dataset.open(tmp_path / "kept")


def test_files_of_several_persons_are_read(dataset: Dataset) -> None:
    """An array person by person; of a table the columns of one who is not there are empty, and become 0."""
    assert np.array_equal(dataset.stream("skeleton", 1), positions(1))
    alone = dataset.stream("skeleton", 0)
    assert alone[:, 0] == pytest.approx(positions(0)[:, 0], rel=1e-5)
    assert not alone[:, 1].any()


def test_persons_keep_their_places_to_one_another() -> None:
    """Both are moved as the first is; alone, the first is what one person gives, and the other place is 0."""
    both = positions()
    clips = prepare_skeleton(both, INFO, 60)
    assert clips.shape == (3, 60, 3, 2)
    shift = both[:, 1] - both[:, 0]
    assert (clips[..., 1] - clips[..., 0]).transpose(1, 2, 0) == pytest.approx(shift, abs=1e-5)
    both[:, 1] = 0
    clips = prepare_skeleton(both, INFO, 40)
    assert np.array_equal(clips[..., 0], prepare_skeleton(both[:, 0], INFO, 40))
    assert not clips[..., 1].any()
    second = prepare_skeleton(both[:, ::-1], INFO, 40)
    assert np.array_equal(second[..., 1], clips[..., 0])


def test_persons_share_one_view_and_the_absent_stay_absent() -> None:
    """Two equal persons stay equal under turn, scale and warp; noise does not bring anybody in."""
    clip = np.random.default_rng(0).normal(size=(4, 3, 32, 3)).astype(np.float32)
    clips = {"skeleton": np.stack([clip, clip, np.zeros_like(clip)], axis=4)}
    still, noisy = (
        augment_batch(
            clips,
            ["a", "b", "c", "d"],
            seed=0,
            epoch=0,
            config=Augment(joint_noise_m=noise),
            channel_sd={},
            skeleton=INFO,
            worn_at={},
        )["skeleton"]
        for noise in (0.0, 0.01)
    )
    assert np.array_equal(still[..., 0], still[..., 1])
    assert not np.array_equal(still[..., 0], clip)
    assert not np.array_equal(noisy[..., 0], noisy[..., 1])
    assert not noisy[..., 2].any()


def test_the_absent_do_not_count_in_statistics(dataset: Dataset) -> None:
    """Mean and deviation are those of the persons who are there."""
    clips = prepare_clips(dataset, [0, 1], parse_spec({}))
    values = clips.streams["skeleton"]
    there = np.stack([values[0, ..., 0], values[1, ..., 0], values[1, ..., 1]])
    found = channel_statistics(clips)["skeleton"]
    assert found.mean == pytest.approx(there.mean(axis=(0, 2, 3)), abs=1e-6)
    assert found.sd == pytest.approx(there.std(axis=(0, 2, 3)), rel=1e-5)


def test_teachers_learn_from_all_of_them(dataset: Dataset) -> None:
    """A skeleton and a fusion teacher guide a student over a whole run, and every figure is there."""
    slim = {"kind": "agcn", "width": 4, "depth": 3}
    spec = parse_spec(
        {
            "protocol": {"kind": "subjects", "train": ["s0"], "test": ["s1"]},
            "method": {
                "kind": "distill",
                "teachers": [
                    {"name": "bodies", "inputs": ["skeleton"], "backbone": slim},
                    {"name": "all", "inputs": ["skeleton", "accelerometer"], "backbone": slim},
                ],
            },
            "student": {"inputs": ["accelerometer"], "backbone": {"kind": "tiny"}},
            "preprocess": {"skeleton_frames": 16, "sensor_frames": 32},
            "training": {"epochs": 1, "batch_size": 8},
        }
    )
    (fold,) = plan_folds(spec, dataset.info, dataset.recordings)
    run = Run(dataset, spec, fold, seed=0)
    assert run.train_clips.streams["skeleton"].shape == (4, 3, 16, 3, 2)
    assert len(list(run.epochs())) == 2
    outcome = run.finish()
    assert {name: part.test and part.test.n for name, part in outcome.teachers.items()} == {"bodies": 4, "all": 4}
