"""The student's objective, Eq. (7): L = L_C + α L_K + β L_MK + γ L_S, from the terms of `losses`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

import torch
from torch import Tensor

from pskd_core import losses
from pskd_core.config import AcsWeighting, PskdLoss
from pskd_core.models.output import Output


@dataclass(frozen=True)
class Objective:
    """What the student minimises, and what it is made of."""

    total: Tensor  # ()
    terms: dict[str, Tensor]  # by name, batch means before their coefficient, detached: ce, kd, mk, fallback, feature
    weights: Tensor  # ω (m, N), detached, teachers in the order they were given


@dataclass(frozen=True)
class _Teachers:
    """The teachers' outputs, stacked."""

    logits: Tensor  # (m, N, K)
    embeddings: Tensor  # (m, N, D)
    present: Tensor  # (m, N) bool
    names: tuple[str, ...]


def objective(
    student: Output,
    teachers: Mapping[str, Output],
    labels: Tensor,
    *,
    loss: PskdLoss,
    label_smoothing: float,
    present: Mapping[str, Tensor] | None = None,
) -> Objective:
    """Weigh the terms of one batch. A term whose coefficient is 0 is neither computed nor reported.

    Args:
        student: carries the gradient.
        teachers: one or more by name; no gradient reaches them.
        labels: (N,).
        loss: coefficients and options.
        label_smoothing: of L_C alone; the L_KD that a gate compares with is taken with the plain cross-entropy.
        present: (N,) bool by teacher name, False where a sample lacks that teacher's input; a teacher not named is
            present everywhere. What an absent teacher says, even NaN, changes nothing.

    Returns:
        The total and its parts.
    """
    stack = _stack(teachers, present or {})
    ce = losses.cross_entropy(student.logits, labels, label_smoothing=label_smoothing)
    terms = {"ce": ce}
    if loss.alpha:
        terms["kd"] = _soft_targets(student, stack, loss)
    weights = _weights(student, stack, labels, loss, terms.get("kd"))
    if loss.beta:
        terms["mk"] = losses.multi_teacher(
            student.logits, stack.logits, weights, target=loss.multi_teacher.target, temperature=loss.temperature
        )
        if loss.multi_teacher.fallback == "ce":
            terms["fallback"] = torch.where(weights.sum(dim=0) > 0, 0.0, ce)
    if loss.gamma:
        terms["feature"] = _features(student, stack, weights, loss)
    return _weighed(terms, weights, loss)


def _weighed(terms: dict[str, Tensor], weights: Tensor, loss: PskdLoss) -> Objective:
    # The fallback stands in for the teachers' guidance where nobody guides, so it carries their coefficient.
    coefficients = {"ce": 1.0, "kd": loss.alpha, "mk": loss.beta, "fallback": loss.beta, "feature": loss.gamma}
    means = {name: term.mean() for name, term in terms.items()}
    total = torch.stack([coefficients[name] * mean for name, mean in means.items()]).sum()
    return Objective(total, {name: mean.detach() for name, mean in means.items()}, weights)


def _stack(teachers: Mapping[str, Output], present: Mapping[str, Tensor]) -> _Teachers:
    logits = torch.stack([output.logits.detach() for output in teachers.values()])
    embeddings = torch.stack([output.embedding.detach() for output in teachers.values()])
    everywhere = torch.ones(logits.shape[1], dtype=torch.bool, device=logits.device)
    mask = torch.stack([present.get(name, everywhere) for name in teachers])
    absent = ~mask.unsqueeze(-1)
    return _Teachers(logits.masked_fill(absent, 0), embeddings.masked_fill(absent, 0), mask, tuple(teachers))


def _soft_targets(student: Output, teachers: _Teachers, loss: PskdLoss) -> Tensor:
    """L_K, Eq. (2), per sample."""
    options = loss.soft_target
    each = losses.soft_target_kl(
        student.logits,
        teachers.logits,
        temperature=loss.temperature,
        temperature_squared=options.temperature_squared,
    )
    chosen = [options.teachers is None or name in options.teachers for name in teachers.names]
    asked = teachers.present & torch.tensor(chosen, device=each.device).unsqueeze(-1)
    return losses.over_teachers(each, asked, reduction=options.reduction)


@torch.no_grad()
def _weights(student: Output, teachers: _Teachers, labels: Tensor, loss: PskdLoss, kd: Tensor | None) -> Tensor:
    """ω, Eqs. (3) and (4)."""
    options = loss.weighting
    teacher_ce = losses.teacher_cross_entropy(teachers.logits, labels, temperature=options.confidence_temperature)
    distillation = losses.cross_entropy(student.logits, labels)
    if kd is not None:
        distillation = distillation + loss.alpha * kd
    gate = _gate(options, teachers, labels, teacher_ce, distillation)
    return losses.acs_weights(
        teacher_ce, gate, teachers.present, select=options.select, renormalise=options.renormalise
    )


def _gate(
    options: AcsWeighting, teachers: _Teachers, labels: Tensor, teacher_ce: Tensor, distillation: Tensor
) -> Tensor:
    match options.gate:
        case "correct":
            return losses.correct_gate(teachers.logits, labels)
        case "loss_per_sample":
            return losses.loss_gate(teacher_ce, distillation)
        case "loss_batch":
            return losses.loss_gate(teacher_ce, distillation.mean())
        case "none":
            return teachers.present
        case _ as never:
            assert_never(never)


def _features(student: Output, teachers: _Teachers, weights: Tensor, loss: PskdLoss) -> Tensor:
    """L_S, Eq. (6), per sample: the mean over its teachers, or, if gated, their ω-weighted sum."""
    options = loss.feature
    each = losses.feature_distance(
        student.embedding, teachers.embeddings, reduction=options.reduction, l2_normalised=options.l2_normalised
    )
    if options.gated:
        return (weights * each).sum(dim=0)
    return losses.over_teachers(each, teachers.present)
