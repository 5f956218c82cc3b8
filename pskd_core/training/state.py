"""Everything that changes while a run trains: networks, optimisers, averaged weights, counters."""

import copy
from dataclasses import dataclass, field

import torch
from torch import nn

from pskd_core.config import Distill, JobSpec, Optim
from pskd_core.data.columnar import DatasetInfo
from pskd_core.distillation import FitNet
from pskd_core.models.build import Classifier, build_network, build_regressors
from pskd_core.models.forest import Forest
from pskd_core.models.regressors import Regressors
from pskd_core.seed import torch_seed
from pskd_core.training.optim import make_optimiser


@dataclass
class Learner:
    """A network in training, with what trains beside it and is not part of it.

    A forest has no parameters to optimise, so its optimiser has nothing to do.
    """

    network: Classifier | Forest
    config: Optim
    regressors: Regressors
    steps: int = 0
    optimiser: torch.optim.AdamW = field(init=False)

    def __post_init__(self) -> None:
        self.optimiser = make_optimiser(self.trained, self.config)

    @property
    def trained(self) -> nn.Module:
        """All that a step changes."""
        return nn.ModuleList([self.network, self.regressors])


Snapshot = dict[str, torch.Tensor]  # `teacher/parameter`, in CPU memory


@dataclass
class TrainingState:
    """The learners by name (`student` is the evaluated one) and the epochs of the plan already done."""

    learners: dict[str, Learner]
    averaged: Classifier | Forest | None
    device: torch.device
    epoch: int = 0
    snapshots: dict[int, Snapshot] = field(default_factory=dict)  # the teachers' past, of schedule `checkpoints`
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
    networks = {}
    for name, network_config in spec.networks.items():
        networks[name] = build_network(
            network_config,
            info=info,
            preprocess=spec.preprocess,
            feature_dim=spec.feature_dim,
            seed=torch_seed(seed, f"initialisation/{name}"),
        ).to(device)
    teachers = {name: network for name, network in networks.items() if name != "student"}
    learners = {name: Learner(teacher, spec.training.teacher, Regressors({})) for name, teacher in teachers.items()}
    student = networks["student"]
    regressors = _regressors(spec, networks, seed).to(device)
    learners["student"] = Learner(student, spec.training.student, regressors)
    averages = spec.training.ema_decay is not None and not isinstance(student, Forest)
    averaged = copy.deepcopy(student) if averages else None
    return TrainingState(learners, averaged, device)


def _regressors(spec: JobSpec, networks: dict[str, Classifier | Forest], seed: int) -> Regressors:
    if not (isinstance(spec.method, Distill) and isinstance(spec.method.loss, FitNet)):
        return Regressors({})
    teachers = {name: network for name, network in networks.items() if isinstance(network, Classifier)}
    student = teachers.pop("student")
    seeds = {name: torch_seed(seed, f"initialisation/regressor/{name}") for name in teachers}
    return build_regressors(student, teachers, seeds=seeds)


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
