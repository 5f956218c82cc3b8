"""The random forest's one epoch, in the place of the training loop."""

from collections.abc import Callable, Iterator

import torch

from pskd_core.backbones import RandomForest
from pskd_core.config import JobSpec
from pskd_core.data.batches import Clips
from pskd_core.losses import cross_entropy
from pskd_core.models.forest import Forest
from pskd_core.seed import torch_seed
from pskd_core.training.meter import EpochReport
from pskd_core.training.state import TrainingState


def fit_forest(
    state: TrainingState, clips: Clips, spec: JobSpec, *, seed: int, on_step: Callable[[int], None]
) -> Iterator[EpochReport]:
    """Fit the student on clips without augmentation; nothing if a checkpoint has brought a fitted one.

    Args:
        state: holds a forest as its student, and no teacher.
        clips: prepared training clips.
        spec: what to do.
        seed: of the trees' samples and features.
        on_step: called once, before the fit; raising from it stops the run.

    Yields:
        One report, with the cross-entropy of the training clips.
    """
    forest, config = state.student.network, spec.student.backbone
    if not isinstance(forest, Forest) or not isinstance(config, RandomForest):
        raise TypeError("the student is no forest")
    if state.epoch:
        return
    on_step(state.steps)
    forest.fit(clips, config, seed=torch_seed(seed, "forest"))
    state.epoch = 1
    logits = forest({stream: torch.from_numpy(values) for stream, values in clips.streams.items()}).logits
    loss = cross_entropy(logits.cpu(), torch.from_numpy(clips.labels), label_smoothing=0.0).mean()
    yield EpochReport(0, 1, "student", state.steps, {"student/ce": float(loss)})
