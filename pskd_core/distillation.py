"""How teachers guide a student, as data: the loss, the weights of several teachers, the schedule.

Part of the job spec of `config`. Nothing here imports torch.
"""

from typing import Annotated, Literal

from pydantic import Field

from pskd_core.fields import Frozen, NonNegative, Positive, Slug, or_kind

# --- Which teacher a sample follows -------------------------------------------------------------------------------


class AverageWeighting(Frozen):
    """Every teacher that a sample has counts alike."""

    kind: Literal["average"] = "average"


class EntropyWeighting(Frozen):
    """The surer a teacher of its answer, right or wrong, the more it counts (Kwon et al., ICASSP 2020)."""

    kind: Literal["entropy"] = "entropy"


class CaMkdWeighting(Frozen):
    """The closer a teacher to the label, the more it counts (CA-MKD: Zhang et al., ICASSP 2022)."""

    kind: Literal["ca_mkd"] = "ca_mkd"


class AcsWeighting(Frozen):
    """ω_k, Eqs. (3) and (4): the weights of CA-MKD behind a gate."""

    kind: Literal["acs"] = "acs"
    gate: Literal["correct", "loss_per_sample", "loss_batch", "none"] = Field(
        default="correct",
        description="a teacher is open if its arg-max is the label; or if its cross-entropy is at most the sample's "
        "(batch's) L_KD; or always",
    )
    select: Literal["soft", "hard"] = "soft"
    renormalise: bool = Field(default=True, description="weights of the open teachers sum to 1")
    confidence_temperature: Positive = Field(default=1.0, description="temperature of the cross-entropy in Eq. (3)")


Weighting = Annotated[
    AverageWeighting | EntropyWeighting | CaMkdWeighting | AcsWeighting, Field(discriminator="kind"), or_kind("acs")
]


# --- The loss of the paper (equations (1) to (7)) -----------------------------------------------------------------


class SoftTarget(Frozen):
    """L_K, Eq. (2): the student follows the teachers' softened distributions, ungated."""

    teachers: tuple[Slug, ...] | None = Field(default=None, description="which teachers; null means all")
    reduction: Literal["mean", "sum"] = Field(default="mean", description="over the teachers")
    temperature_squared: bool = Field(default=True, description="multiply by τ², which keeps gradients' size")


class MultiTeacher(Frozen):
    """L_MK, Eq. (5): the student follows the teachers it chose."""

    target: Literal["soft", "soft_t1", "logits_mse"] = "soft"
    fallback: Literal["none", "ce"] = Field(
        default="none", description="`ce` adds a cross-entropy for samples on which no teacher is open"
    )


class FeatureMatch(Frozen):
    """L_S, Eq. (6): distance between fc0 features."""

    reduction: Literal["mean", "sum"] = Field(default="mean", description="over the feature dimension")
    gated: bool = Field(default=False, description="weigh each teacher's distance by ω")
    l2_normalised: bool = False


class PskdLoss(Frozen):
    """L = CE + α L_K + β L_MK + γ L_S, Eqs. (1) and (7)."""

    kind: Literal["pskd"] = "pskd"
    alpha: NonNegative = 0.5
    beta: NonNegative = 0.5
    gamma: NonNegative = 1.0
    temperature: Positive = Field(default=4.0, description="τ of Eqs. (2) and (5)")
    soft_target: SoftTarget = SoftTarget()
    weighting: Weighting = AcsWeighting()
    multi_teacher: MultiTeacher = MultiTeacher()
    feature: FeatureMatch = FeatureMatch()


# --- The losses that the paper compares with: L = CE + weight · (mean over the batch of Σ_k ω_k · loss_k) ----------
#
# The default weights are those of the "Knowledge-Distillation-Zoo", whose names Table 4 uses. Between networks of
# different kinds a feature term often needs a far smaller one.


class Logits(Frozen):
    """Squared distance of logits."""

    kind: Literal["logits"] = "logits"
    weight: NonNegative = 0.1
    weighting: Weighting = AverageWeighting()


class FitNet(Frozen):
    """Squared distance of feature maps, the student's through a regressor that trains with it (Romero et al., 2015)."""

    kind: Literal["fitnet"] = "fitnet"
    weight: NonNegative = 0.1
    weighting: Weighting = AverageWeighting()


class SoftTargets(Frozen):
    """Divergence of softened distributions (Hinton et al., 2015)."""

    kind: Literal["st"] = "st"
    weight: NonNegative = 0.1
    temperature: Positive = 4.0
    weighting: Weighting = AverageWeighting()


class AttentionTransfer(Frozen):
    """Squared distance of attention over time (Zagoruyko and Komodakis, 2017)."""

    kind: Literal["at"] = "at"
    weight: NonNegative = 1000.0
    weighting: Weighting = AverageWeighting()


class Rkd(Frozen):
    """Distances and angles between the samples of a batch (Park et al., 2019)."""

    kind: Literal["rkd"] = "rkd"
    distance_weight: NonNegative = 25.0
    angle_weight: NonNegative = Field(default=50.0, description="angles take memory of batch_size³")
    weighting: Weighting = AverageWeighting()


class SimilarityPreserving(Frozen):
    """Which samples of a batch excite a network alike (Tung and Mori, 2019)."""

    kind: Literal["sp"] = "sp"
    weight: NonNegative = 3000.0
    weighting: Weighting = AverageWeighting()


class CorrelationCongruence(Frozen):
    """Gaussian kernel between the samples of a batch, as a Taylor series (Peng et al., 2019)."""

    kind: Literal["cc"] = "cc"
    weight: NonNegative = 100.0
    kernel_gamma: Positive = Field(default=0.4, description="γ of exp(−γ ‖x − y‖²)")
    taylor_order: int = Field(default=2, ge=1, le=8, description="P, the last power of the series")
    weighting: Weighting = AverageWeighting()


Rival = Logits | FitNet | SoftTargets | AttentionTransfer | Rkd | SimilarityPreserving | CorrelationCongruence
Loss = Annotated[
    PskdLoss | Logits | FitNet | SoftTargets | AttentionTransfer | Rkd | SimilarityPreserving | CorrelationCongruence,
    Field(discriminator="kind"),
    or_kind("pskd"),
]


# --- Who trains when ----------------------------------------------------------------------------------------------


class Progressive(Frozen):
    """Rounds: teachers train `epochs_per_round` epochs, then, frozen, guide the student for as many."""

    kind: Literal["progressive"] = "progressive"
    epochs_per_round: int = Field(default=1, ge=1, le=1000, description="n of PSKD(n)")


class PerStep(Frozen):
    """The student follows after every teacher step, on the same batch and view."""

    kind: Literal["per_step"] = "per_step"
    pull: NonNegative = Field(default=0.0, description="λ, the pull of the teacher toward the student")


class FrozenTeachers(Frozen):
    """Teachers train to their end, then the student is distilled: the student baseline of Figure 5."""

    kind: Literal["frozen"] = "frozen"


class Checkpoints(Frozen):
    """Teachers train to their end, and the student walks through their snapshots in order (RCO, Pro-KD)."""

    kind: Literal["checkpoints"] = "checkpoints"
    every: int = Field(
        default=10, ge=1, le=1000, description="epochs between snapshots, and epochs that the student follows each"
    )


Schedule = Annotated[Progressive | PerStep | FrozenTeachers | Checkpoints, Field(discriminator="kind")]
