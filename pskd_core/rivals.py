"""The losses that the paper compares with (Table 4), as pure functions of one teacher and the student.

Written from the formulas of their papers; normalised as in the "Knowledge-Distillation-Zoo", whose default weights the
configuration takes. Every function returns one value per sample (N,), and the mean over the batch is the published
loss. That holds for the pairwise losses as well: the published value is a mean over all pairs (triples), a sample's
value is the mean over those that it begins. So one teacher may count more than another sample by sample whatever the
loss, and a teacher that some samples lack relates those that have it among themselves. No gradient reaches a teacher.
`st` is `losses.soft_target_kl`.
"""

import math
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from pskd_core.errors import SpecError
from pskd_core.losses import Features, Logits, PerSample

FeatureMap = Annotated[Tensor, "(N, C, T)"]
Pairs = Annotated[Tensor, "(N, N)"]


def logit_distance(student_logits: Logits, teacher_logits: Logits) -> PerSample:
    """`logits`: mean over classes of (z_S − z_T)² (Ba and Caruana, 2014).

    Returns:
        (N,), ≥ 0.
    """
    return (student_logits - teacher_logits.detach()).square().mean(dim=-1)


def hint_distance(regressed_map: FeatureMap, teacher_map: FeatureMap) -> PerSample:
    """`fitnet`: mean over channels and frames of (r(f_S) − f_T)² (Romero et al., FitNets, ICLR 2015).

    Args:
        regressed_map: r(f_S), the student's last feature map (N, C, T_S) brought to the teacher's channels; the
            gradient trains r as well.
        teacher_map: f_T (N, C, T_T); both sides are pooled to the shorter T.

    Returns:
        (N,), ≥ 0.
    """
    student, teacher = _aligned(regressed_map, teacher_map)
    return (student - teacher).square().mean(dim=(1, 2))


def attention_distance(student_map: FeatureMap, teacher_map: FeatureMap) -> PerSample:
    """`at`: mean over frames of (Q_S/‖Q_S‖ − Q_T/‖Q_T‖)², Q = Σ_c f² (Zagoruyko and Komodakis, ICLR 2017).

    Attention is over time, which both networks share; channels need not agree.

    Args:
        student_map: (N, C_S, T_S).
        teacher_map: (N, C_T, T_T); both sides are pooled to the shorter T.

    Returns:
        (N,), in [0, 2/T] since Q ≥ 0.

    Raises:
        SpecError: a map has a single frame, over which normalised attention is 1 whatever it holds.
    """
    student, teacher = _aligned(student_map, teacher_map)
    if student.shape[2] < 2:
        raise SpecError(
            "attention needs two frames or more in the last feature maps; give the networks more frames or less depth",
            pointer="/method/loss",
        )
    return (_attention(student) - _attention(teacher)).square().mean(dim=1)


def _attention(feature_map: Tensor) -> Tensor:
    return F.normalize(feature_map.square().sum(dim=1), dim=1)  # (N, C, T) → (N, T)


def _aligned(student_map: Tensor, teacher_map: Tensor) -> tuple[Tensor, Tensor]:
    """Both with the shorter T, the teacher without gradient; channels stay what they are."""
    frames = min(student_map.shape[2], teacher_map.shape[2])
    return F.adaptive_avg_pool1d(student_map, frames), F.adaptive_avg_pool1d(teacher_map.detach(), frames)


# --- Relations between the samples of a batch ---------------------------------------------------------------------


def distance_relation(student_features: Features, teacher_features: Features) -> PerSample:
    """`rkd`, first part: Huber(d_S, d_T), d a pair's distance over the mean distance of the batch (Park et al., 2019).

    Args:
        student_features: (N, D).
        teacher_features: (N, D'), any width.

    Returns:
        (N,), ≥ 0, a sample's mean over all N partners (itself included, at distance 0, as published); 0 where N < 2.
    """
    if len(student_features) < 2:
        return _nothing(student_features)
    student, teacher = (_relative_distances(each) for each in (student_features, teacher_features.detach()))
    return F.smooth_l1_loss(student, teacher, reduction="none").mean(dim=1)


def _relative_distances(features: Tensor) -> Pairs:
    distances = _lengths(_differences(features))
    mean = distances.sum() / (len(features) * (len(features) - 1))
    return distances / torch.where(mean > 0, mean, 1)


def angle_relation(student_features: Features, teacher_features: Features) -> PerSample:
    """`rkd`, second part: Huber(cos ∠_S, cos ∠_T) over the angles of all triples of the batch (Park et al., 2019).

    Takes memory of N² · D + N³.

    Args:
        student_features: (N, D).
        teacher_features: (N, D'), any width.

    Returns:
        (N,), ≥ 0, the mean over the N² angles at a sample, degenerate ones included as 0; 0 where N < 2.
    """
    if len(student_features) < 2:
        return _nothing(student_features)
    student, teacher = (_angles(each) for each in (student_features, teacher_features.detach()))
    return F.smooth_l1_loss(student, teacher, reduction="none").mean(dim=(1, 2))


def _angles(features: Tensor) -> Tensor:
    """Cosine of the angle at i between j and k: (N, N, N)."""
    differences = _differences(features)
    lengths = _lengths(differences).unsqueeze(-1)
    directions = differences / torch.where(lengths > 0, lengths, 1)
    return directions @ directions.mT


def _differences(features: Tensor) -> Tensor:
    return features.unsqueeze(0) - features.unsqueeze(1)  # (N, D) → (N, N, D)


def _lengths(differences: Tensor) -> Pairs:
    """Norms of (N, N, D) whose gradient is 0, not NaN, where two samples agree."""
    lengths: Tensor = torch.linalg.vector_norm(differences, dim=2)
    return lengths


def similarity_relation(student_features: Tensor, teacher_features: Tensor) -> PerSample:
    """`sp`: ‖rownorm(F_S F_Sᵀ) − rownorm(F_T F_Tᵀ)‖²_F / N² (Tung and Mori, ICCV 2019).

    Args:
        student_features: (N, …), flattened; the last feature map, as published.
        teacher_features: (N, …), any shape.

    Returns:
        (N,), in [0, 4/N], a sample's own row of the sum, over N; 0 where N < 2.
    """
    if len(student_features) < 2:
        return _nothing(student_features)
    student, teacher = (_similarities(each.flatten(1)) for each in (student_features, teacher_features.detach()))
    return (student - teacher).square().mean(dim=1)


def _similarities(features: Features) -> Pairs:
    return F.normalize(features @ features.mT, dim=1)


def correlation_relation(
    student_features: Features, teacher_features: Features, *, kernel_gamma: float = 0.4, taylor_order: int = 2
) -> PerSample:
    """`cc`: mean squared difference of the batch's Gaussian kernels (Peng et al., ICCV 2019).

    The kernel of unit vectors, exp(−γ‖x − y‖²) = exp(−2γ) exp(2γ x·y), is taken as its Taylor series in x·y up to the
    power P: exp(−2γ) Σ_p (2γ)^p / p! (x·y)^p.

    Args:
        student_features: (N, D).
        teacher_features: (N, D'), any width.
        kernel_gamma: γ > 0.
        taylor_order: P ≥ 1.

    Returns:
        (N,), ≥ 0, a sample's mean over all N partners; 0 where N < 2.
    """
    if len(student_features) < 2:
        return _nothing(student_features)
    student, teacher = (
        _kernel(each, kernel_gamma, taylor_order) for each in (student_features, teacher_features.detach())
    )
    return (student - teacher).square().mean(dim=1)


def _kernel(features: Features, gamma: float, order: int) -> Pairs:
    unit = F.normalize(features, dim=1)
    cosines = unit @ unit.mT
    terms = [(2 * gamma) ** p / math.factorial(p) * cosines**p for p in range(order + 1)]
    return math.exp(-2 * gamma) * torch.stack(terms).sum(dim=0)


def _nothing(student_features: Tensor) -> PerSample:
    """One sample has no partner: nothing to learn, and nothing divided by no pairs."""
    return student_features.new_zeros(len(student_features))
