"""The student's objective: Eq. (7), L = L_C + α L_K + β L_MK + γ L_S, or a rival's L_C + weight · loss."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import assert_never

import torch
from torch import Tensor, nn

from pskd_core import losses, rivals
from pskd_core.distillation import (
    AcsWeighting,
    AttentionTransfer,
    AverageWeighting,
    CaMkdWeighting,
    CorrelationCongruence,
    EntropyWeighting,
    FitNet,
    Logits,
    Loss,
    PskdLoss,
    Rival,
    Rkd,
    SimilarityPreserving,
    SoftTargets,
    Weighting,
)
from pskd_core.models.output import Output

Regressors = Mapping[str, nn.Module]


@dataclass(frozen=True)
class Objective:
    """What the student minimises, and what it is made of."""

    total: Tensor  # ()
    terms: dict[str, Tensor]  # by name, batch means before their coefficient, detached: ce, kd, mk, feature, sp …
    weights: Tensor  # ω (m, N), detached, teachers in the order they were given


@dataclass(frozen=True)
class _Term:
    """A loss per sample (N,) and its coefficient."""

    coefficient: float
    values: Tensor


@dataclass(frozen=True)
class _Teachers:
    """The teachers' outputs, stacked; by name as well, for what differs in shape between them."""

    logits: Tensor  # (m, N, K)
    embeddings: Tensor  # (m, N, D)
    present: Tensor  # (m, N) bool
    outputs: Mapping[str, Output]
    rows: Mapping[str, Tensor] = field(default_factory=dict)  # of the samples that have a teacher, if not all do


def objective(
    student: Output,
    teachers: Mapping[str, Output],
    labels: Tensor,
    *,
    loss: Loss,
    label_smoothing: float,
    present: Mapping[str, Tensor] | None = None,
    regressors: Regressors | None = None,
    targets: Tensor | None = None,
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
        regressors: r of `fitnet`, by teacher.
        targets: (N, K) shares of each class for L_C, where samples are mixed; `labels` then names the larger one.

    Returns:
        The total and its parts.
    """
    stack = _stack(teachers, present or {})
    ce = losses.cross_entropy(student.logits, labels if targets is None else targets, label_smoothing=label_smoothing)
    terms = {"ce": _Term(1.0, ce)}
    if isinstance(loss, PskdLoss):
        weights = _pskd_terms(terms, student, stack, labels, loss)
    else:
        weights = _rival_terms(terms, student, stack, labels, loss, regressors or {})
    means = {name: term.values.mean() for name, term in terms.items()}
    total = torch.stack([terms[name].coefficient * mean for name, mean in means.items()]).sum()
    return Objective(total, {name: mean.detach() for name, mean in means.items()}, weights)


def _stack(teachers: Mapping[str, Output], present: Mapping[str, Tensor]) -> _Teachers:
    logits = torch.stack([output.logits.detach() for output in teachers.values()])
    embeddings = torch.stack([output.embedding.detach() for output in teachers.values()])
    everywhere = torch.ones(logits.shape[1], dtype=torch.bool, device=logits.device)
    mask = torch.stack([present.get(name, everywhere) for name in teachers])
    absent = ~mask.unsqueeze(-1)
    rows = {name: present[name].nonzero().squeeze(1) for name in teachers if name in present}
    return _Teachers(logits.masked_fill(absent, 0), embeddings.masked_fill(absent, 0), mask, teachers, rows)


@torch.no_grad()
def _weights(weighting: Weighting, teachers: _Teachers, labels: Tensor, distillation: Tensor) -> Tensor:
    """ω (m, N), by what the teachers say; a gate may compare with the distillation loss L_KD (N,)."""
    match weighting:
        case AverageWeighting():
            return losses.average_weights(teachers.present).to(teachers.logits.dtype)
        case EntropyWeighting():
            return losses.entropy_weights(teachers.logits, teachers.present)
        case CaMkdWeighting():
            return _acs(AcsWeighting(gate="none"), teachers, labels, distillation)
        case AcsWeighting():
            return _acs(weighting, teachers, labels, distillation)
        case _ as never:
            assert_never(never)


def _acs(options: AcsWeighting, teachers: _Teachers, labels: Tensor, distillation: Tensor) -> Tensor:
    """Eqs. (3) and (4)."""
    teacher_ce = losses.teacher_cross_entropy(teachers.logits, labels, temperature=options.confidence_temperature)
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


# --- The paper's loss ---------------------------------------------------------------------------------------------


def _pskd_terms(
    terms: dict[str, _Term], student: Output, teachers: _Teachers, labels: Tensor, loss: PskdLoss
) -> Tensor:
    """Add α L_K, β L_MK and γ L_S; returns ω."""
    distillation = losses.cross_entropy(student.logits, labels)
    if loss.alpha:
        kd = _soft_targets(student, teachers, loss)
        terms["kd"] = _Term(loss.alpha, kd)
        distillation = distillation + loss.alpha * kd
    weights = _weights(loss.weighting, teachers, labels, distillation)
    if loss.beta:
        mk = losses.multi_teacher(
            student.logits, teachers.logits, weights, target=loss.multi_teacher.target, temperature=loss.temperature
        )
        terms["mk"] = _Term(loss.beta, mk)
        if loss.multi_teacher.fallback == "ce":
            # It stands in for the teachers' guidance where nobody guides, so it carries their coefficient.
            terms["fallback"] = _Term(loss.beta, torch.where(weights.sum(dim=0) > 0, 0.0, terms["ce"].values))
    if loss.gamma:
        terms["feature"] = _Term(loss.gamma, _features(student, teachers, weights, loss))
    return weights


def _soft_targets(student: Output, teachers: _Teachers, loss: PskdLoss) -> Tensor:
    """L_K, Eq. (2), per sample."""
    options = loss.soft_target
    each = losses.soft_target_kl(
        student.logits,
        teachers.logits,
        temperature=loss.temperature,
        temperature_squared=options.temperature_squared,
    )
    chosen = [options.teachers is None or name in options.teachers for name in teachers.outputs]
    asked = teachers.present & torch.tensor(chosen, device=each.device).unsqueeze(-1)
    return losses.over_teachers(each, asked, reduction=options.reduction)


def _features(student: Output, teachers: _Teachers, weights: Tensor, loss: PskdLoss) -> Tensor:
    """L_S, Eq. (6), per sample: the mean over its teachers, or, if gated, their ω-weighted sum."""
    options = loss.feature
    each = losses.feature_distance(
        student.embedding, teachers.embeddings, reduction=options.reduction, l2_normalised=options.l2_normalised
    )
    if options.gated:
        return (weights * each).sum(dim=0)
    return losses.over_teachers(each, teachers.present)


# --- Its rivals ---------------------------------------------------------------------------------------------------

Compare = Callable[[Output, Output, nn.Module | None], Tensor]


def _rival_terms(
    terms: dict[str, _Term],
    student: Output,
    teachers: _Teachers,
    labels: Tensor,
    loss: Rival,
    regressors: Regressors,
) -> Tensor:
    """Add Σ_k ω_k · loss_k, weighed; returns ω. A gate's L_KD holds the mean over the teachers, as Eq. (1) does L_K."""
    distillation = losses.cross_entropy(student.logits, labels)
    each = {}
    for name, (coefficient, compare) in _comparisons(loss).items():
        if coefficient:
            each[name] = _Term(coefficient, _per_teacher(compare, student, teachers, regressors))
            distillation = distillation + coefficient * losses.over_teachers(each[name].values, teachers.present)
    weights = _weights(loss.weighting, teachers, labels, distillation)
    for name, term in each.items():
        terms[name] = _Term(term.coefficient, (weights * term.values).sum(dim=0))
    return weights


def _comparisons(loss: Rival) -> dict[str, tuple[float, Compare]]:
    """By term: its coefficient, and how the student is compared with one teacher."""
    match loss:
        case Logits():
            return {"logits": (loss.weight, lambda s, t, _: rivals.logit_distance(s.logits, t.logits))}
        case FitNet():
            return {"fitnet": (loss.weight, _hint)}
        case SoftTargets(temperature=tau):
            return {"st": (loss.weight, lambda s, t, _: losses.soft_target_kl(s.logits, t.logits, temperature=tau))}
        case AttentionTransfer():
            return {"at": (loss.weight, lambda s, t, _: rivals.attention_distance(s.feature_map, t.feature_map))}
        case Rkd():
            return {
                "rkd_distance": (
                    loss.distance_weight,
                    lambda s, t, _: rivals.distance_relation(s.embedding, t.embedding),
                ),
                "rkd_angle": (loss.angle_weight, lambda s, t, _: rivals.angle_relation(s.embedding, t.embedding)),
            }
        case SimilarityPreserving():
            return {"sp": (loss.weight, lambda s, t, _: rivals.similarity_relation(s.feature_map, t.feature_map))}
        case CorrelationCongruence(kernel_gamma=gamma, taylor_order=order):
            return {
                "cc": (
                    loss.weight,
                    lambda s, t, _: rivals.correlation_relation(
                        s.embedding, t.embedding, kernel_gamma=gamma, taylor_order=order
                    ),
                )
            }
        case _ as never:
            assert_never(never)


def _hint(student: Output, teacher: Output, regressor: nn.Module | None) -> Tensor:
    assert regressor is not None, "fitnet needs a regressor for every teacher"
    return rivals.hint_distance(regressor(student.feature_map), teacher.feature_map)


def _per_teacher(compare: Compare, student: Output, teachers: _Teachers, regressors: Regressors) -> Tensor:
    """Each teacher's loss (m, N), 0 for samples that lack it; pairs are made among those that have it alone."""
    values = []
    for name, output in teachers.outputs.items():
        rows = teachers.rows.get(name)
        if rows is None:
            values.append(compare(student, output, regressors.get(name)))
        else:
            some = compare(_take(student, rows), _take(output, rows), regressors.get(name))
            values.append(torch.zeros_like(student.logits[:, 0]).index_copy(0, rows, some))
    return torch.stack(values)


def _take(output: Output, rows: Tensor) -> Output:
    return Output(*(part[rows] for part in output))
