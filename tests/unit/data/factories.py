"""Made files in the layouts that the readers accept."""

import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.io import savemat

from pskd_core.data.problems import Problem

Array = npt.NDArray[np.float64]


def inertial(samples: int = 60, *, seed: int = 0) -> Array:
    """`d_iner` of a trial: (samples, 6)."""
    return np.random.default_rng(seed).normal(loc=(0, 1, 0, 0, 0, 0), size=(samples, 6))


def skeleton(frames: int = 24, *, seed: int = 0) -> Array:
    """`d_skel` of a trial: (20, 3, frames)."""
    return np.random.default_rng(seed).normal(size=(20, 3, frames))


def write_mat(path: Path, name: str, values: Array, *, compressed: bool = True) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(str(path), {name: values}, do_compression=compressed)


def write_trial(root: Path, trial: str, *, seed: int = 0) -> None:
    """Both files of a trial such as `a1_s1_t1`."""
    write_mat(root / "Inertial" / f"{trial}_inertial.mat", "d_iner", inertial(seed=seed))
    write_mat(root / "Skeleton" / f"{trial}_skeleton.mat", "d_skel", skeleton(seed=seed))


def zipped(folder: Path, target: Path, *, inside: str = "") -> Path:
    """A zip of a folder's files, under a folder `inside`."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*.*")):
            archive.write(file, f"{inside}{file.relative_to(folder)}")
    return target


def about(problems: list[Problem], text: str) -> Problem:
    """The first problem whose detail holds `text`; there must be one."""
    found = [problem for problem in problems if text in problem.detail]
    assert found, "\n".join(problem.detail for problem in problems)
    return found[0]
