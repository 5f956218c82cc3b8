"""The loss terms of progressive cross-modal distillation, Eqs. (1) to (6), as pure functions.

From Ni, Ngu, Yan, *Progressive Cross-modal Knowledge Distillation for Human Action Recognition*, ACM MM 2022. Every
function returns one value per sample and leaves mean and weight to `objective`. z are logits, p = softmax(z), h the
fc0 feature, τ a temperature, ω a sample's weight of a teacher. Teachers come stacked, with m first, and no gradient
ever reaches them. `present` marks which teachers a sample has: one without skeleton lacks the skeleton's teachers.
"""

import math
from typing import Annotated, Literal, assert_never

import torch
import torch.nn.functional as F
from torch import Tensor

Logits = Annotated[Tensor, "(N, K)"]
Features = Annotated[Tensor, "(N, D)"]
Labels = Annotated[Tensor, "(N,) int64"]
PerSample = Annotated[Tensor, "(N,)"]
TeacherLogits = Annotated[Tensor, "(m, N, K)"]
TeacherFeatures = Annotated[Tensor, "(m, N, D)"]
PerTeacher = Annotated[Tensor, "(m, N)"]
TeacherMask = Annotated[Tensor, "(m, N) bool"]


def cross_entropy(logits: Logits, labels: Labels, *, label_smoothing: float = 0.0) -> PerSample:
    """L_C, the first term of Eq. (1): −Σ_c q_c log p_c.

    The paper calls y "predicted labels"; they have to be the true ones.

    Args:
        logits: z (N, K).
        labels: true class of each sample (N,); or of mixed samples the share of each class (N, K).
        label_smoothing: ε in [0, 1); q is 1 − ε + ε/K at the label and ε/K elsewhere.

    Returns:
        (N,), ≥ 0.
    """
    return F.cross_entropy(logits, labels, reduction="none", label_smoothing=label_smoothing)


def soft_target_kl(
    student_logits: Logits, teacher_logits: Logits, *, temperature: float, temperature_squared: bool = True
) -> PerSample:
    """One teacher's share of L_K, Eq. (2): τ² · KL(softmax(z_T/τ) ‖ softmax(z_S/τ)).

    The paper divides probabilities by T; a temperature belongs on the logits (Hinton et al., 2015).

    Args:
        student_logits: z_S (N, K).
        teacher_logits: z_T, any shape that broadcasts with it; no gradient flows into them.
        temperature: τ > 0.
        temperature_squared: multiply by τ², which keeps the gradient's size as τ grows.

    Returns:
        (N,), or (m, N) for stacked teachers; ≥ 0, and 0 where the two agree.
    """
    student = F.log_softmax(student_logits / temperature, dim=-1)
    teacher = F.log_softmax(teacher_logits.detach() / temperature, dim=-1)
    divergence = (teacher.exp() * (teacher - student)).sum(dim=-1)
    return divergence * temperature**2 if temperature_squared else divergence


def over_teachers(values: PerTeacher, present: TeacherMask, *, reduction: Literal["mean", "sum"] = "mean") -> PerSample:
    """Mean or sum of a per-teacher value over the teachers that each sample has; 0 where it has none."""
    total = (values * present).sum(dim=0)
    return total / present.sum(dim=0).clamp(min=1) if reduction == "mean" else total


def teacher_cross_entropy(teacher_logits: TeacherLogits, labels: Labels, *, temperature: float = 1.0) -> PerTeacher:
    """CE_k of Eq. (3): how far teacher k is from the label, −log softmax(z_T / temperature) at the label.

    α(Z) of the paper is the softmax. At temperature 1, exp(−CE_k) is the teacher's probability of the label.

    Returns:
        (m, N), ≥ 0, without gradient.
    """
    log_probabilities = F.log_softmax(teacher_logits.detach() / temperature, dim=-1)
    return -log_probabilities.gather(-1, labels.expand(len(teacher_logits), -1).unsqueeze(-1)).squeeze(-1)


def correct_gate(teacher_logits: TeacherLogits, labels: Labels) -> TeacherMask:
    """The gate of Eq. (4) as the paper's text describes it: open where the teacher's arg-max is the label."""
    return teacher_logits.argmax(dim=-1) == labels


def loss_gate(teacher_ce: PerTeacher, distillation_loss: Tensor) -> TeacherMask:
    """The gate of Eq. (4) as printed: open where CE_k ≤ L_KD.

    Args:
        teacher_ce: (m, N) of Eq. (3).
        distillation_loss: L_KD of Eq. (1), per sample (N,) or, to the letter, the batch's scalar ().
    """
    return teacher_ce <= distillation_loss.detach()


def acs_weights(
    teacher_ce: PerTeacher,
    gate_open: TeacherMask,
    present: TeacherMask,
    *,
    select: Literal["soft", "hard"] = "soft",
    renormalise: bool = True,
) -> PerTeacher:
    """ω_k of Eq. (4): which teacher a sample follows.

    `soft`: ω_k = gate_k · (1 − softmax_k(CE)) / (m − 1), with the softmax over the m teachers present, then divided by
    its sum over the open teachers unless `renormalise` is off. For two open teachers this is p_k / (p_1 + p_2), p_k
    teacher k's probability of the label. `hard`: all weight on the open teacher with the smallest CE; equals share.
    Whatever the options, a sample with one teacher has ω = gate, and one with no open teacher has ω = 0.

    The sign is positive: the minus of the printed Eq. (4), together with that of Eq. (5), would have the student flee
    its teachers. Equality goes to the open gate.

    With every gate open these are the weights of CA-MKD (Zhang, Chen and Wang, *Confidence-Aware Multi-Teacher
    Knowledge Distillation*, ICASSP 2022), which sum to 1 of themselves.

    Args:
        teacher_ce: (m, N) of Eq. (3).
        gate_open: (m, N).
        present: (m, N); an absent teacher is never open and does not count in m.

    Returns:
        (m, N) in [0, 1], without gradient.
    """
    is_open = gate_open & present
    alone = present.sum(dim=0) == 1
    log_weight = torch.where(alone, 0.0, _log_trust(teacher_ce.detach(), present))
    match select:
        case "hard":
            best = torch.where(is_open, teacher_ce.detach(), math.inf)
            weight = ((best == best.min(dim=0).values) & is_open).to(teacher_ce.dtype)
            return weight / weight.sum(dim=0).clamp(min=1)
        case "soft":
            log_weight = log_weight.masked_fill(~is_open, -math.inf)
            # A softmax over the open teachers, in logarithms, since a trusted teacher's rivals may underflow.
            weight = log_weight.softmax(dim=0) if renormalise else log_weight.exp()
            return torch.where(is_open, weight, 0.0)
        case _ as never:
            assert_never(never)


def average_weights(present: TeacherMask) -> PerTeacher:
    """ω_k = 1/m over the m teachers that a sample has, 0 where it has none. Returns (m, N)."""
    return present / present.sum(dim=0).clamp(min=1)


def entropy_weights(teacher_logits: TeacherLogits, present: TeacherMask) -> PerTeacher:
    """ω_k = (1 − H_k / Σ_j H_j) / (m − 1): the surer a teacher, right or wrong, the more it counts.

    H_k is the entropy of softmax(z_T), j runs over the m teachers that the sample has; a single one has ω = 1, and
    teachers who are all wholly sure share alike. The idea is Kwon et al., *Adaptive Knowledge Distillation Based on
    Entropy*, ICASSP 2020; the formula is the one by which the authors of CA-MKD compare with it, divided by m − 1 so
    that the weights sum to 1 as all others do.

    Returns:
        (m, N) in [0, 1], without gradient; the sum over the teachers is 1 where a sample has any, else 0.
    """
    log_probabilities = F.log_softmax(teacher_logits.detach(), dim=-1)
    entropy = -(log_probabilities.exp() * log_probabilities).sum(dim=-1).masked_fill(~present, 0)
    total, m = entropy.sum(dim=0), present.sum(dim=0)
    shares = (total - entropy) / (total * (m - 1))
    return torch.where((m > 1) & (total > 0), shares, average_weights(present)).masked_fill(~present, 0)


def _log_trust(teacher_ce: PerTeacher, present: TeacherMask) -> PerTeacher:
    """log((1 − softmax_k(CE)) / (m − 1)); the difference is a logsumexp of the others, which loses no digits."""
    ce = teacher_ce.masked_fill(~present, -math.inf)
    others = ~torch.eye(len(ce), dtype=torch.bool, device=ce.device)  # (m, m): whom k is compared with
    log_rest = ce.expand(len(ce), -1, -1).masked_fill(~others.unsqueeze(-1), -math.inf).logsumexp(dim=1)
    return log_rest - ce.logsumexp(dim=0) - (present.sum(dim=0) - 1).log()


def multi_teacher(
    student_logits: Logits,
    teacher_logits: TeacherLogits,
    weights: PerTeacher,
    *,
    target: Literal["soft", "soft_t1", "logits_mse"] = "soft",
    temperature: float,
) -> PerSample:
    """L_MK, Eq. (5): the student follows the teachers by their weights ω.

    `soft`: −τ² Σ_k ω_k Σ_c softmax(z_T/τ)_c log softmax(z_S/τ)_c. `soft_t1`: the same with τ = 1. `logits_mse`:
    Σ_k ω_k · mean over c of (z_S − z_T)². The printed target is the raw logits, which are no distribution: the loss
    would have no lower bound where they sum to less than 0.

    Args:
        student_logits: z_S (N, K).
        teacher_logits: z_T (m, N, K); no gradient flows into them.
        weights: ω (m, N); no gradient flows into them.
        temperature: τ > 0 of `soft`.

    Returns:
        (N,), ≥ 0. `soft` and `soft_t1` are cross-entropies: where student and teacher agree they are the teacher's
        entropy, not 0.
    """
    match target:
        case "soft":
            each = _soft_cross_entropy(student_logits, teacher_logits.detach(), temperature=temperature)
        case "soft_t1":
            each = _soft_cross_entropy(student_logits, teacher_logits.detach(), temperature=1.0)
        case "logits_mse":
            each = (student_logits - teacher_logits.detach()).square().mean(dim=-1)
        case _ as never:
            assert_never(never)
    return (weights.detach() * each).sum(dim=0)


def _soft_cross_entropy(student_logits: Logits, teacher_logits: TeacherLogits, *, temperature: float) -> PerTeacher:
    probabilities = F.softmax(teacher_logits / temperature, dim=-1)
    return -(probabilities * F.log_softmax(student_logits / temperature, dim=-1)).sum(dim=-1) * temperature**2


def feature_distance(
    student_features: Features,
    teacher_features: TeacherFeatures,
    *,
    reduction: Literal["mean", "sum"] = "mean",
    l2_normalised: bool = False,
) -> PerTeacher:
    """Each teacher's share of L_S, Eq. (6): mean (or sum) over D of (h_S − h_T)², h the fc0 output.

    Whether the paper's m counts teachers or the batch, and whether it sums over D, it does not say; here the mean is
    taken over all three, teachers by `over_teachers` and the batch by the caller.

    Args:
        student_features: h_S (N, D).
        teacher_features: h_T (m, N, D); no gradient flows into them.
        reduction: over D.
        l2_normalised: compare directions, h / ‖h‖.

    Returns:
        (m, N), ≥ 0; ≤ 4 with `l2_normalised` and `sum`.
    """
    student, teacher = student_features, teacher_features.detach()
    if l2_normalised:
        student, teacher = F.normalize(student, dim=-1), F.normalize(teacher, dim=-1)
    squares = (student - teacher).square()
    return squares.mean(dim=-1) if reduction == "mean" else squares.sum(dim=-1)
