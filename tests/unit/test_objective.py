"""The student's objective: which terms it holds, how they are weighed, and what never reaches it."""

from typing import Any

import pytest
import torch
from torch import Tensor

from pskd_core import losses
from pskd_core.distillation import PskdLoss
from pskd_core.models.output import Output
from pskd_core.objective import Objective, objective

LABELS = torch.tensor([0, 1, 2, 0])
NO_SMOOTHING = 0.0


def output(seed: int, *, dtype: torch.dtype = torch.float64) -> Output:
    """Four samples, three classes, five features."""
    random = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(4, 3, generator=random, dtype=dtype)
    embedding = torch.randn(4, 5, generator=random, dtype=dtype)
    return Output(logits.requires_grad_(), embedding.requires_grad_(), torch.zeros(4, 2, 6))


def teachers(count: int = 2) -> dict[str, Output]:
    return {f"teacher_{k}": output(k + 1) for k in range(count)}


def weigh(loss: PskdLoss, guides: dict[str, Output] | None = None, **more: Any) -> Objective:
    """The objective of a fixed student."""
    options = {"label_smoothing": NO_SMOOTHING} | more
    return objective(output(0), guides or teachers(), LABELS, loss=loss, **options)


def loss(**fields: Any) -> PskdLoss:
    return PskdLoss.model_validate(fields)


def test_total_is_the_weighed_sum_of_its_terms() -> None:
    """Eq. (7): L_C + α L_K + β L_MK + γ L_S, each the batch mean of its function."""
    spec = loss(alpha=0.3, beta=0.7, gamma=1.1, temperature=3.0)
    found, student, guides = weigh(spec), output(0), list(teachers().values())
    logits = torch.stack([guide.logits for guide in guides])
    everywhere = torch.ones(2, 4, dtype=torch.bool)
    weights = losses.acs_weights(
        losses.teacher_cross_entropy(logits, LABELS), losses.correct_gate(logits, LABELS), everywhere
    )

    expected = {
        "ce": losses.cross_entropy(student.logits, LABELS),
        "kd": losses.soft_target_kl(student.logits, logits, temperature=3.0).mean(dim=0),
        "mk": losses.multi_teacher(student.logits, logits, weights, temperature=3.0),
        "feature": losses.feature_distance(student.embedding, torch.stack([g.embedding for g in guides])).mean(dim=0),
    }
    means = {name: term.mean().item() for name, term in expected.items()}
    assert {name: term.item() for name, term in found.terms.items()} == pytest.approx(means)
    assert found.total.item() == pytest.approx(
        means["ce"] + 0.3 * means["kd"] + 0.7 * means["mk"] + 1.1 * means["feature"]
    )
    assert torch.allclose(found.weights, weights)


@pytest.mark.parametrize(
    ("coefficients", "names"),
    [
        ({}, {"ce", "kd", "mk", "feature"}),
        ({"gamma": 0}, {"ce", "kd", "mk"}),
        ({"beta": 0}, {"ce", "kd", "feature"}),
        ({"beta": 0, "gamma": 0}, {"ce", "kd"}),
        ({"alpha": 0, "beta": 0, "gamma": 0}, {"ce"}),
    ],
    ids=["ACS", "AC", "S", "ST", "labels only"],
)
def test_ablations_drop_their_terms(coefficients: dict[str, float], names: set[str]) -> None:
    """Table 4's ablations are coefficients of 0: such a term is not there at all."""
    assert set(weigh(loss(**coefficients)).terms) == names


def test_smoothing_is_of_the_label_term_alone() -> None:
    """It changes ce, and neither the weights nor any other term, though a gate compares with a cross-entropy."""
    spec = loss(weighting={"gate": "loss_per_sample"})
    plain, smoothed = weigh(spec), weigh(spec, label_smoothing=0.5)

    assert smoothed.terms["ce"] != plain.terms["ce"]
    assert torch.equal(smoothed.weights, plain.weights)
    assert all(torch.equal(smoothed.terms[name], plain.terms[name]) for name in ("kd", "mk", "feature"))


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 2},
        {"soft_target": {"temperature_squared": False}},
        {"soft_target": {"reduction": "sum"}},
        {"weighting": {"gate": "none", "confidence_temperature": 3}},
        {"weighting": {"gate": "none", "select": "hard"}},
        {"weighting": {"renormalise": False}},
        {"multi_teacher": {"target": "soft_t1"}},
        {"multi_teacher": {"target": "logits_mse"}},
        {"multi_teacher": {"fallback": "ce"}},
        {"feature": {"reduction": "sum"}},
        {"feature": {"gated": True}},
        {"feature": {"l2_normalised": True}},
    ],
    ids=str,
)
def test_every_option_is_heard(fields: dict[str, Any]) -> None:
    """Setting it changes the total."""
    default = loss(weighting={"gate": fields.get("weighting", {}).get("gate", "correct")})

    assert weigh(loss(**fields)).total.item() != pytest.approx(weigh(default).total.item())


@pytest.mark.parametrize("gate", ["loss_per_sample", "loss_batch"])
def test_loss_gates_compare_with_the_distillation_loss(gate: str) -> None:
    """A teacher is open where CE_k ≤ L_C + α L_K, of the sample or of the batch."""
    found = weigh(loss(alpha=0.3, weighting={"gate": gate}))
    student, logits = output(0), torch.stack([guide.logits for guide in teachers().values()])
    distillation = losses.cross_entropy(student.logits, LABELS)
    distillation = distillation + 0.3 * losses.soft_target_kl(student.logits, logits, temperature=4.0).mean(dim=0)
    if gate == "loss_batch":
        distillation = distillation.mean()

    is_open = losses.teacher_cross_entropy(logits, LABELS) <= distillation
    assert is_open.any()
    assert not is_open.all()
    assert torch.equal(found.weights > 0, is_open)


def test_without_a_gate_every_teacher_is_followed() -> None:
    """`none` is the confidence weighting of CA-MKD: ω sums to 1 on every sample."""
    found = weigh(loss(weighting={"gate": "none"}), teachers(3))

    assert (found.weights > 0).all()
    assert torch.allclose(found.weights.sum(dim=0), torch.ones(4, dtype=torch.float64))


def test_fallback_adds_the_label_loss_where_no_teacher_is_open() -> None:
    """Only samples without an open teacher count, and the term carries β."""
    wrong = torch.nn.functional.one_hot((LABELS + 1) % 3, 3).double()
    right = torch.nn.functional.one_hot(LABELS, 3).double()
    guide = Output(torch.cat([wrong[:2], right[2:]]), output(1).embedding, torch.zeros(4, 2, 6))
    off, on = (
        weigh(loss(beta=0.7, multi_teacher={"fallback": fallback}), {"only": guide}) for fallback in ("none", "ce")
    )
    label_loss = losses.cross_entropy(output(0).logits, LABELS)

    assert on.weights.tolist() == [[0, 0, 1, 1]]
    assert on.terms["fallback"].item() == pytest.approx(label_loss[:2].sum().item() / 4)
    assert (on.total - off.total).item() == pytest.approx(0.7 * on.terms["fallback"].item())
    assert "fallback" not in off.terms


def test_soft_targets_may_come_from_some_teachers_only() -> None:
    """L_K of one named teacher, and the sum over teachers instead of the mean."""
    one = {name: weigh(loss(soft_target={"teachers": [name]})).terms["kd"] for name in teachers()}
    mean, summed = weigh(loss()).terms["kd"], weigh(loss(soft_target={"reduction": "sum"})).terms["kd"]

    assert mean.item() == pytest.approx(sum(one.values()).item() / 2)  # type: ignore[union-attr]
    assert summed.item() == pytest.approx(2 * mean.item())


def test_gated_features_follow_the_weights() -> None:
    """L_S of a teacher counts by ω; on a sample without open teacher it is 0."""
    found = weigh(loss(feature={"gated": True}))
    embeddings = torch.stack([guide.embedding for guide in teachers().values()])
    expected = (found.weights * losses.feature_distance(output(0).embedding, embeddings)).sum(dim=0).mean()

    assert found.terms["feature"].item() == pytest.approx(expected.item())


def test_gated_features_need_no_multi_teacher_term() -> None:
    """With β = 0 the weights are still there."""
    assert torch.equal(weigh(loss(beta=0)).weights, weigh(loss()).weights)


def test_the_gradient_is_the_students_alone() -> None:
    """Teachers that still carry a graph get none; the student's logits and features do."""
    student, guides = output(0), teachers()
    found = objective(student, guides, LABELS, loss=loss(), label_smoothing=0.1)
    torch.autograd.backward(found.total)

    assert student.logits.grad is not None
    assert student.embedding.grad is not None
    assert all(guide.logits.grad is None and guide.embedding.grad is None for guide in guides.values())
    assert not found.weights.requires_grad
    assert not any(term.requires_grad for term in found.terms.values())


@pytest.mark.parametrize(
    "spec",
    [
        loss(),
        loss(weighting={"gate": "none", "select": "hard"}, multi_teacher={"target": "logits_mse"}),
        loss(feature={"gated": True, "l2_normalised": True}, multi_teacher={"fallback": "ce"}),
    ],
    ids=["default", "hard", "gated"],
)
def test_gradient_is_the_finite_difference(spec: PskdLoss) -> None:
    """The whole objective pulls the student the way in which it falls (float64)."""
    student, guides = output(0), teachers()

    def total(logits: Tensor, embedding: Tensor) -> Tensor:
        moved = Output(logits, embedding, student.feature_map)
        return objective(moved, guides, LABELS, loss=spec, label_smoothing=0.1).total

    assert torch.autograd.gradcheck(total, (student.logits, student.embedding))


def test_an_absent_teacher_may_say_anything() -> None:
    """Even NaN for samples without that teacher's input reaches neither value nor gradient."""
    present = {"teacher_1": torch.tensor([True, False, True, False])}
    results = []
    for noise in (0.0, float("nan")):
        guides, student = teachers(), output(0)
        absent = ~present["teacher_1"].unsqueeze(1)
        spoilt = guides["teacher_1"]
        guides["teacher_1"] = Output(
            spoilt.logits.masked_fill(absent, noise), spoilt.embedding.masked_fill(absent, noise), spoilt.feature_map
        )
        found = objective(student, guides, LABELS, loss=loss(), label_smoothing=0.1, present=present)
        torch.autograd.backward(found.total)
        results.append([found.total, student.logits.grad, student.embedding.grad, found.weights])

    for clean, noisy in zip(*results, strict=True):
        assert clean is not None
        assert noisy is not None
        assert torch.equal(clean, noisy)
        assert torch.isfinite(noisy).all()


def test_samples_are_judged_by_the_teachers_they_have() -> None:
    """Two samples with both teachers and two with one give the mean of what either half gives alone."""

    def rows(given: Output, part: slice) -> Output:
        return Output(given.logits[part], given.embedding[part], given.feature_map[part])

    def total(names: tuple[str, ...], part: slice) -> float:
        guides = {name: rows(guide, part) for name, guide in teachers().items() if name in names}
        return objective(rows(output(0), part), guides, LABELS[part], loss=loss(), label_smoothing=0.0).total.item()

    mixed = weigh(loss(), present={"teacher_1": torch.tensor([True, True, False, False])})
    with_both, with_one = total(("teacher_0", "teacher_1"), slice(0, 2)), total(("teacher_0",), slice(2, 4))

    assert mixed.total.item() == pytest.approx((with_both + with_one) / 2)


def test_samples_without_any_teacher_learn_from_labels() -> None:
    """Nothing but the label term is left of the total."""
    nobody = dict.fromkeys(teachers(), torch.zeros(4, dtype=torch.bool))
    found = weigh(loss(), present=nobody)

    assert found.total.item() == pytest.approx(found.terms["ce"].item())
    assert (found.weights == 0).all()
