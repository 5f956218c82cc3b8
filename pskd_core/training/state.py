"""Everything that changes while a run trains: networks, optimisers, averaged weights, counters."""

import copy
from dataclasses import dataclass, field

import torch
from torch import nn

from pskd_core.config import JobSpec, Optim
from pskd_core.data.columnar import DatasetInfo
from pskd_core.models.build import Classifier, build_network
from pskd_core.models.forest import Forest
from pskd_core.seed import torch_seed
from pskd_core.training.optim import make_optimiser


@dataclass
class Learner:
    """A network in training; a forest has no parameters to optimise, so its optimiser has nothing to do."""

    network: Classifier | Forest
    optimiser: torch.optim.AdamW
    config: Optim
    steps: int = 0


@dataclass
class TrainingState:
    """The learners by name (`student` is the evaluated one) and the epochs of the plan already done."""

    learners: dict[str, Learner]
    averaged: Classifier | Forest | None
    device: torch.device
    epoch: int = 0
    teacher_names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.teacher_names = tuple(name for name in self.learners if name != "student")

    @property
    def student(self) -> Learner:
        """The network that is evaluated and exported."""
        return self.learners["student"]

    @property
    def steps(self) -> int:
        """Optimisation steps done, over all networks."""
        return sum(learner.steps for learner in self.learners.values())


def new_state(spec: JobSpec, info: DatasetInfo, *, seed: int, device: torch.device) -> TrainingState:
    """Freshly initialised networks.

    Each is drawn from its own random stream, so that a teacher starts alike whatever student or loss it meets.
    """
    learners = {}
    for name, network_config in spec.networks.items():
        network = build_network(
            network_config,
            info=info,
            preprocess=spec.preprocess,
            feature_dim=spec.feature_dim,
            seed=torch_seed(seed, f"initialisation/{name}"),
        ).to(device)
        optim = spec.training.student if name == "student" else spec.training.teacher
        learners[name] = Learner(network, make_optimiser(network, optim), optim)
    student = learners["student"].network
    averages = spec.training.ema_decay is not None and not isinstance(student, Forest)
    averaged = copy.deepcopy(student) if averages else None
    return TrainingState(learners, averaged, device)


@torch.no_grad()
def update_average(averaged: nn.Module, network: nn.Module, *, decay: float, step: int) -> None:
    """Move the averaged weights toward the network's after step `step` (from 1).

    Early on the decay is smaller, so that the initial weights do not linger. Batch-norm statistics are not averaged;
    they are estimated again before the averaged network is used.
    """
    effective = min(decay, (1 + step) / (10 + step))
    targets: list[torch.Tensor] = list(averaged.parameters())
    sources: list[torch.Tensor] = list(network.parameters())
    torch._foreach_lerp_(targets, sources, 1 - effective)
