"""The job spec: one frozen object that is the request body, the stored JSON, the MLflow parameters and the argument.

Units stand in the field's name or description. Nothing here imports torch.
"""

import hashlib
import json
from collections.abc import Mapping
from importlib import resources
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from pskd_core.backbones import Agcn, Backbone, RandomForest, ResNet1d
from pskd_core.distillation import Loss, PerStep, Progressive, PskdLoss, Rkd, Schedule
from pskd_core.errors import SpecError
from pskd_core.fields import Fraction, Frozen, NonNegative, Positive, Slug, SubjectId, readable

# --- Which recordings train, validate and test --------------------------------------------------------------------


class NamedProtocol(Frozen):
    """A split that the dataset itself defines, such as `cross_subject` or `cross_trial`."""

    kind: Literal["named"] = "named"
    name: Slug = "cross_subject"


class LeaveOneSubjectOut(Frozen):
    """One fold a subject; a seed's result pools the predictions of all folds."""

    kind: Literal["loso"] = "loso"
    subjects: tuple[SubjectId, ...] | None = Field(default=None, description="subjects to use; null means all")


class SubjectLists(Frozen):
    """Explicit training and test subjects."""

    kind: Literal["subjects"] = "subjects"
    train: tuple[SubjectId, ...] = Field(min_length=1)
    test: tuple[SubjectId, ...] = ()

    @model_validator(mode="after")
    def _disjoint(self) -> "SubjectLists":
        if both := sorted(set(self.train) & set(self.test)):
            raise ValueError(f"subjects {', '.join(both)} stand in both train and test; each may stand in one only")
        return self


Protocol = Annotated[NamedProtocol | LeaveOneSubjectOut | SubjectLists, Field(discriminator="kind")]


class NoValidation(Frozen):
    """Every training recording trains."""

    kind: Literal["none"] = "none"


class ValidationSubjects(Frozen):
    """These training subjects are held out for validation."""

    kind: Literal["subjects"] = "subjects"
    subjects: tuple[SubjectId, ...] = Field(min_length=1)


class ValidationTrials(Frozen):
    """These trials of the training part are held out for validation."""

    kind: Literal["trials"] = "trials"
    trials: tuple[SubjectId, ...] = Field(min_length=1)


class InnerLeaveOneSubjectOut(Frozen):
    """One inner fold a training subject (for `cross_trial`: trial 2), then one refit on all training subjects."""

    kind: Literal["inner_loso"] = "inner_loso"


Validation = Annotated[
    NoValidation | ValidationSubjects | ValidationTrials | InnerLeaveOneSubjectOut, Field(discriminator="kind")
]


# --- Networks -----------------------------------------------------------------------------------------------------


class Network(Frozen):
    """A backbone and the dataset's streams it sees."""

    inputs: tuple[Slug, ...] = Field(min_length=1, description="streams of the dataset")
    backbone: Backbone

    @model_validator(mode="after")
    def _inputs_fit_backbone(self) -> "Network":
        if len(set(self.inputs)) != len(self.inputs):
            raise ValueError("inputs names a stream twice")
        over_skeleton = isinstance(self.backbone, Agcn)
        if over_skeleton and "skeleton" not in self.inputs:
            raise ValueError("an agcn backbone needs the `skeleton` stream among its inputs")
        if not over_skeleton and "skeleton" in self.inputs:
            raise ValueError(f"a {self.backbone.kind} backbone takes sensor streams only; use agcn for `skeleton`")
        return self


class Teacher(Network):
    """A network that guides the student and is not used afterwards."""

    name: Slug

    @model_validator(mode="after")
    def _trains_by_steps(self) -> "Teacher":
        if self.backbone.kind == "random_forest":
            raise ValueError("a random_forest has no features to follow and cannot teach; it runs with method `none`")
        return self


# --- Who guides the student -----------------------------------------------------------------------------------------


class NoTeachers(Frozen):
    """The student learns from labels alone."""

    kind: Literal["none"] = "none"


class Distill(Frozen):
    """The student learns from labels and from one or more teachers."""

    kind: Literal["distill"] = "distill"
    teachers: tuple[Teacher, ...] = Field(
        default=(
            Teacher(name="skeleton", inputs=("skeleton",), backbone=Agcn()),
            Teacher(name="fusion", inputs=("skeleton", "accelerometer"), backbone=Agcn()),
        ),
        min_length=1,
        max_length=8,
    )
    loss: Loss = PskdLoss()
    schedule: Schedule = Progressive()

    @model_validator(mode="after")
    def _names(self) -> "Distill":
        names = [teacher.name for teacher in self.teachers]
        if len(set(names)) != len(names):
            raise ValueError("two teachers have the same name")
        asked = self.loss.soft_target.teachers if isinstance(self.loss, PskdLoss) else None
        if unknown := set(asked or ()) - set(names):
            raise ValueError(f"loss.soft_target.teachers names unknown teachers: {', '.join(sorted(unknown))}")
        return self


Method = Annotated[NoTeachers | Distill, Field(discriminator="kind")]


# --- Preprocessing, augmentation, training ------------------------------------------------------------------------


class Preprocess(Frozen):
    """Every trial is stretched to a fixed number of samples in each modality, by relative time."""

    skeleton_frames: int = Field(default=64, ge=16, le=512, description="T of the graph networks")
    sensor_frames: int = Field(default=128, ge=16, le=2048, description="T of the sensor networks")


class Augment(Frozen):
    """Random views of a training clip; both modalities of a trial share one draw of time. 0 switches a part off."""

    sensor_rotation_deg: NonNegative = Field(default=10.0, le=45, description="standard deviation; gravity is kept")
    skeleton_rotation_deg: NonNegative = Field(default=15.0, le=180, description="± about the vertical, uniform")
    scale_sd: NonNegative = Field(default=0.1, le=0.5, description="standard deviation of a factor on amplitudes")
    time_warp: NonNegative = Field(default=0.2, le=0.8, description="largest relative change of local speed")
    time_crop: NonNegative = Field(default=0.1, le=0.5, description="largest fraction cut from the clip's ends")
    sensor_noise_sd: NonNegative = Field(default=0.03, le=1, description="in standard deviations of the channel")
    joint_noise_m: NonNegative = Field(default=0.005, le=0.2, description="metres, standard deviation")
    mixup: NonNegative = Field(
        default=0.0, le=10, description="α of Beta(α, α): shares by which clips of a batch, and their labels, are mixed"
    )


class Optim(Frozen):
    """AdamW with linear warm-up and cosine decay over the network's own steps."""

    learning_rate: Positive = Field(default=2e-3, le=1.0)
    weight_decay: NonNegative = Field(default=1e-2, le=1.0)
    warmup_epochs: NonNegative = Field(default=3.0, le=1000)
    gradient_clip_norm: Positive | None = 5.0


class Training(Frozen):
    """How long and how the networks are trained."""

    epochs: int = Field(default=60, ge=1, le=10_000, description="of each network")
    batch_size: int = Field(default=32, ge=8, le=4096)
    label_smoothing: Fraction = 0.1
    teacher: Optim = Optim()
    student: Optim = Optim()
    ema_decay: Fraction | None = Field(default=0.99, description="averaged weights for evaluation and export")
    threads: int = Field(default=1, ge=1, le=256, description="torch threads; part of what makes bits repeat")
    precision: Literal["fp32", "bf16"] = "fp32"


class Resources(Frozen):
    """Where a run may execute; never part of what is compared."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    priority: int = Field(default=0, ge=-100, le=100, description="of a tenant's runs the higher goes first")
    deadline_s: Positive | None = Field(
        default=None, le=31_536_000, description="a run that has run for longer fails; waiting does not count"
    )
    reuse_teachers: bool = Field(
        default=False,
        description="keep the teachers' answers, and take them from an earlier run with the same teachers",
    )
    # No batch is smaller than 8, so that each process has a sample of every one.
    processes: int = Field(
        default=1,
        ge=1,
        le=8,
        description="of one machine that train a run together, each on its part of every batch with "
        "`training.threads` threads; on `cuda` each has a GPU of its own",
    )


# 256³ angles are 64 MiB, of which a step keeps some eight copies for each teacher.
RKD_LARGEST_BATCH = 256


class JobSpec(Frozen):
    """What to train and how it is judged."""

    name: str = Field(default="", max_length=200)
    dataset: str | None = Field(
        default=None,
        max_length=200,
        description="id or name of an imported dataset; the command line takes `--data` instead",
    )
    protocol: Protocol = NamedProtocol()
    validation: Validation = NoValidation()
    test: Literal["report", "none"] = Field(default="report", description="`none` never touches the test part")
    method: Method = Distill()
    student: Network = Network(inputs=("accelerometer",), backbone=ResNet1d())
    feature_dim: int = Field(default=128, ge=8, le=4096, description="D, width of every network's fc0")
    preprocess: Preprocess = Preprocess()
    augment: Augment = Augment()
    augment_teachers: Augment | None = Field(
        default=None, description="of what the teachers learn from; null: as `augment`, by which the student is taught"
    )
    training: Training = Training()
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**31)], ...] = Field(default=(0,), min_length=1, max_length=100)
    resources: Resources = Resources()

    @model_validator(mode="after")
    def _whole(self) -> "JobSpec":
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError("seeds names a seed twice")
        if isinstance(self.method, Distill) and "skeleton" in self.student.inputs:
            raise ValueError("a distilled student takes worn sensors only; method `none` may take `skeleton`")
        if isinstance(self.method, Distill) and self.student.backbone.kind == "random_forest":
            raise ValueError("a random_forest cannot be distilled; it runs with method `none`")
        if isinstance(self.method, Distill):
            if self.augment_teachers is not None and isinstance(self.method.schedule, PerStep):
                raise ValueError("schedule per_step teaches and distils on one view; leave augment_teachers out")
            _check_memory(self.method.loss, self.training.batch_size)
        if self.resources.processes > 1 and self.student.backbone.kind == "random_forest":
            raise ValueError("a random_forest is fitted by one process; set resources.processes to 1")
        if self.test == "none" and isinstance(self.validation, NoValidation):
            raise ValueError("test `none` needs a validation part, or nothing is measured")
        return self

    @property
    def networks(self) -> dict[str, Network]:
        """Every network of the job by name; the evaluated one is `student`."""
        teachers = self.method.teachers if isinstance(self.method, Distill) else ()
        return {teacher.name: teacher for teacher in teachers} | {"student": self.student}

    @property
    def epochs(self) -> int:
        """Epochs of each network; a random forest is fitted in one."""
        return 1 if isinstance(self.student.backbone, RandomForest) else self.training.epochs

    @property
    def streams(self) -> tuple[str, ...]:
        """The dataset's streams that any network reads, sorted."""
        return tuple(sorted({stream for network in self.networks.values() for stream in network.inputs}))


def _check_memory(loss: Loss, batch_size: int) -> None:
    if isinstance(loss, Rkd) and loss.angle_weight and batch_size > RKD_LARGEST_BATCH:
        raise ValueError(
            f"rkd compares the angles of all triples of a batch, which may hold {RKD_LARGEST_BATCH} samples, not "
            f"{batch_size}; lower training.batch_size, or set angle_weight to 0"
        )


# What does not change a result, or is compared by content instead (the dataset).
_NOT_COMPARED = frozenset({"name", "dataset", "seeds", "resources"})


def configuration_hash(spec: JobSpec) -> str:
    """SHA-256 (hex) of the canonical spec without name, dataset, seeds and resources.

    A field that came after 0.1.0 counts only where it is used, so that a recipe keeps its row of the leaderboard.
    """
    canonical = spec.model_dump(mode="json", exclude=set(_NOT_COMPARED))
    if not spec.augment.mixup:
        del canonical["augment"]["mixup"]
    if spec.augment_teachers is None or not isinstance(spec.method, Distill):
        del canonical["augment_teachers"]
    return hashlib.sha256(json.dumps(canonical, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


# --- Presets ------------------------------------------------------------------------------------------------------


def preset_names(folder: str = "presets") -> list[str]:
    """Names of the recipes that come with the package."""
    entries = (resources.files("pskd_core") / folder).iterdir()
    return sorted(entry.name.removesuffix(".yaml") for entry in entries if entry.name.endswith(".yaml"))


def load_preset(name: str, folder: str = "presets") -> dict[str, Any]:
    """A recipe as plain data; it names no dataset, split or seed.

    Raises:
        SpecError: no preset has that name.
    """
    if name not in preset_names(folder):
        raise SpecError(f"no preset is called {name!r}; there are {', '.join(preset_names(folder))}", pointer="/preset")
    text = (resources.files("pskd_core") / folder / f"{name}.yaml").read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def merge(base: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `overrides` laid over it; a mapping of another `kind` replaces the old one whole."""
    merged = dict(base)
    for key, value in overrides.items():
        old = merged.get(key)
        same_kind = (
            isinstance(old, Mapping)
            and isinstance(value, Mapping)
            and value.get("kind", old.get("kind")) == old.get("kind")
        )
        merged[key] = merge(old, value) if same_kind else value  # type: ignore[arg-type]
    return merged


def parse_spec(data: Mapping[str, Any]) -> JobSpec:
    """A checked spec from plain data, with `preset` resolved and the rest laid over it.

    Raises:
        SpecError: a field is unknown or wrong; `errors` lists JSON pointers and messages.
    """
    try:
        spec = JobSpec.model_validate(with_preset(data))
    except ValidationError as invalid:
        raise SpecError.from_validation(invalid) from invalid
    try:
        readable(spec.name)  # not in the model, which also reads jobs of before
    except ValueError as unreadable:
        raise SpecError(str(unreadable), pointer="/name") from unreadable
    return spec


def with_preset(data: Mapping[str, Any], folder: str = "presets") -> dict[str, Any]:
    """The recipe that `preset` names, with the other fields laid over it. Raises SpecError."""
    fields = dict(data)
    preset = fields.pop("preset", None)
    return fields if preset is None else merge(load_preset(str(preset), folder), fields)
