"""The loss terms against constants worked out by hand, and their gradients against finite differences."""

import math
from collections.abc import Callable
from typing import Literal

import pytest
import torch
from torch import Tensor

from pskd_core import losses

LOG2, LOG3 = math.log(2), math.log(3)
ALL = torch.tensor([[True], [True]])

# Two samples, three classes; z = log p up to a constant, so that probabilities are what one reads.
STUDENT = torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]).log()
TEACHER = torch.tensor([[0.25, 0.5, 0.25], [0.1, 0.1, 0.8]]).log()
LABELS = torch.tensor([0, 2])


def random_batch() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Student logits (4, 3), teacher logits (2, 4, 3), labels (4,) and weights (2, 4), in float64."""
    random = torch.Generator().manual_seed(0)
    student = torch.randn(4, 3, generator=random, dtype=torch.float64, requires_grad=True)
    teachers = torch.randn(2, 4, 3, generator=random, dtype=torch.float64, requires_grad=True)
    weights = torch.rand(2, 4, generator=random, dtype=torch.float64, requires_grad=True)
    return student, teachers, torch.tensor([0, 2, 1, 1]), weights


# --- Eq. (1) ------------------------------------------------------------------------------------------------------


def test_cross_entropy_by_hand() -> None:
    """−log of the label's probability."""
    assert losses.cross_entropy(STUDENT, LABELS).tolist() == pytest.approx([LOG2, -math.log(0.8)])


def test_label_smoothing_by_hand() -> None:
    """With ε = 0.3 over three classes the label counts 0.8 and each other class 0.1."""
    found = losses.cross_entropy(STUDENT, LABELS, label_smoothing=0.3)

    assert found[0].item() == pytest.approx(0.8 * LOG2 + 0.1 * 2 * 2 * LOG2)


# --- Eq. (2) ------------------------------------------------------------------------------------------------------


def test_soft_target_kl_by_hand() -> None:
    """KL((¼, ½, ¼) ‖ (½, ¼, ¼)) = −¼ log 2 + ½ log 2; two that agree are at distance 0."""
    found = losses.soft_target_kl(STUDENT, TEACHER, temperature=1.0)

    assert found.tolist() == pytest.approx([LOG2 / 4, 0], abs=1e-7)


def test_temperature_divides_logits() -> None:
    """At τ = 2 the logits log(16, 1, 1) stand for (4, 1, 1)/6, and the divergence is multiplied by 4."""
    student, teacher = torch.tensor([[16.0, 1, 1]]).log(), torch.zeros(1, 3)
    expected = 1 / 3 * (math.log(6 / 12) + 2 * math.log(6 / 3))

    plain = losses.soft_target_kl(student, teacher, temperature=2.0, temperature_squared=False)
    scaled = losses.soft_target_kl(student, teacher, temperature=2.0)

    assert plain.item() == pytest.approx(expected)
    assert scaled.item() == pytest.approx(4 * expected)


def test_temperature_squared_keeps_the_gradient_size() -> None:
    """For large τ the gradient of τ²·KL tends to (z_S − z_T)/K of centred logits, whatever τ."""
    student = torch.tensor([[0.3, -0.1, -0.2]], dtype=torch.float64, requires_grad=True)
    teacher = torch.tensor([[-0.5, 0.4, 0.1]], dtype=torch.float64)
    for temperature in (100.0, 1000.0):
        (gradient,) = torch.autograd.grad(
            losses.soft_target_kl(student, teacher, temperature=temperature).sum(), student
        )
        assert torch.allclose(gradient, (student - teacher) / 3, rtol=1e-2)


def test_mean_and_sum_count_present_teachers_only() -> None:
    """Samples with two, one and no teacher: an absent one's value is neither added nor counted."""
    values = torch.tensor([[2.0, 3, 5], [4, 7, 9]])
    present = torch.tensor([[True, True, False], [True, False, False]])

    assert losses.over_teachers(values, present).tolist() == [3, 3, 0]
    assert losses.over_teachers(values, present, reduction="sum").tolist() == [6, 3, 0]


# --- Eq. (3) ------------------------------------------------------------------------------------------------------


def test_teacher_cross_entropy_by_hand() -> None:
    """exp(−CE_k) is teacher k's probability of the label."""
    found = losses.teacher_cross_entropy(torch.stack([TEACHER, STUDENT]), LABELS)

    assert found.neg().exp().flatten().tolist() == pytest.approx([0.25, 0.8, 0.5, 0.8])


def test_confidence_temperature_softens() -> None:
    """At temperature 2, logits log(16, 1, 1) give the label 4/6 instead of 16/18."""
    logits = torch.tensor([[[16.0, 1, 1]]]).log()

    found = losses.teacher_cross_entropy(logits, torch.tensor([0]), temperature=2.0)

    assert found.item() == pytest.approx(-math.log(4 / 6))


# --- Eq. (4) ------------------------------------------------------------------------------------------------------


def test_correct_gate_opens_on_the_label() -> None:
    """A teacher is open where its arg-max is the label."""
    teachers = torch.stack([TEACHER, STUDENT])

    assert losses.correct_gate(teachers, LABELS).tolist() == [[False, True], [True, True]]


def test_loss_gate_holds_equality() -> None:
    """CE_k = L_KD is open, by sample and by batch."""
    ce = torch.tensor([[1.0, 2], [3, 1]])

    assert losses.loss_gate(ce, torch.tensor([1.0, 1])).tolist() == [[True, False], [False, True]]
    assert losses.loss_gate(ce, torch.tensor(2.0)).tolist() == [[True, True], [False, True]]


def weights_of(probabilities: list[float], gate: list[bool], **options: object) -> list[float]:
    """ω of one sample from the teachers' probabilities of the label."""
    ce = -torch.tensor(probabilities).log().unsqueeze(1)
    present = torch.ones_like(ce, dtype=torch.bool)
    found = losses.acs_weights(ce, torch.tensor(gate).unsqueeze(1), present, **options)  # type: ignore[arg-type]
    weights: list[float] = found.flatten().tolist()
    return weights


def test_two_open_teachers_share_by_their_probability_of_the_label() -> None:
    """ω_1 = p_1 / (p_1 + p_2)."""
    assert weights_of([0.6, 0.2], [True, True]) == pytest.approx([0.75, 0.25])


def test_three_teachers_by_hand() -> None:
    """For p = ½, ¼, ¼: exp(CE) = 2, 4, 4, so 1 − softmax = 8/10, 6/10, 6/10, halved."""
    assert weights_of([0.5, 0.25, 0.25], [True, True, True]) == pytest.approx([0.4, 0.3, 0.3])


def test_a_closed_teacher_gives_its_share_to_the_open_ones() -> None:
    """The gate comes after the softmax over all; then the rest is divided by its sum, if that is asked for."""
    gate = [True, False, True]

    assert weights_of([0.5, 0.25, 0.25], gate) == pytest.approx([4 / 7, 0, 3 / 7])
    assert weights_of([0.5, 0.25, 0.25], gate, renormalise=False) == pytest.approx([0.4, 0, 0.3])


def test_hard_selection_takes_the_surest_open_teacher() -> None:
    """The surest of all is closed here; two that are equally sure share."""
    assert weights_of([0.9, 0.4, 0.3], [False, True, True], select="hard") == [0, 1, 0]
    assert weights_of([0.2, 0.4, 0.4], [True, True, True], select="hard") == [0, 0.5, 0.5]


@pytest.mark.parametrize("select", ["soft", "hard"])
@pytest.mark.parametrize("renormalise", [True, False])
@pytest.mark.parametrize("is_open", [True, False])
def test_the_weight_of_a_single_teacher_is_its_gate(select: str, renormalise: bool, is_open: bool) -> None:
    """ω ∈ {0, 1} with one teacher, whatever the other options say."""
    assert weights_of([0.3], [is_open], select=select, renormalise=renormalise) == [float(is_open)]


@pytest.mark.parametrize("select", ["soft", "hard"])
@pytest.mark.parametrize("renormalise", [True, False])
def test_without_an_open_teacher_every_weight_is_zero(select: str, renormalise: bool) -> None:
    """The student then has its labels alone."""
    assert weights_of([0.3, 0.6], [False, False], select=select, renormalise=renormalise) == [0, 0]


def test_absent_teachers_do_not_count() -> None:
    """Of three teachers the second is absent: the others share as two; with one left, ω is its gate; with none, 0."""
    ce = -torch.tensor([[0.6], [0.9], [0.2]]).log().expand(3, 3)
    present = torch.tensor([[True, False, False], [False, True, False], [True, False, False]])

    found = losses.acs_weights(ce, torch.ones_like(present), present, renormalise=False)

    assert found.T.flatten().tolist() == pytest.approx([0.75, 0, 0.25, 0, 1, 0, 0, 0, 0])


def test_a_teacher_far_more_trusted_keeps_every_digit() -> None:
    """CE of 0 and 80: 1 − softmax would round to 0 in float32, its logarithm does not."""
    found = losses.acs_weights(torch.tensor([[0.0], [80.0]]), ALL, ALL)

    assert found.flatten().tolist() == pytest.approx([1, math.exp(-80)], rel=1e-5)


# --- Other weights of several teachers ----------------------------------------------------------------------------

# Entropies 2 log 2, log 2 and 0 over four classes.
EVEN, HALVED, SURE = [0.0, 0, 0, 0], [0.0, 0, -1e4, -1e4], [0.0, -1e4, -1e4, -1e4]


def entropy_weights_of(*logits: list[float], present: list[bool] | None = None) -> list[float]:
    """ω of one sample."""
    held = torch.tensor(present or [True] * len(logits)).unsqueeze(1)
    weights: list[float] = losses.entropy_weights(torch.tensor(logits).unsqueeze(1), held).flatten().tolist()
    return weights


def test_entropy_weights_by_hand() -> None:
    """(1 − H_k / ΣH) / (m − 1): the surest gets most, and wholly sure teachers share alike."""
    assert entropy_weights_of(EVEN, HALVED) == pytest.approx([1 / 3, 2 / 3])
    assert entropy_weights_of(EVEN, HALVED, SURE) == pytest.approx([1 / 6, 1 / 3, 1 / 2])
    assert entropy_weights_of(SURE, SURE) == pytest.approx([1 / 2, 1 / 2])


def test_entropy_weights_leave_absent_teachers_out() -> None:
    """Of three teachers the others share as two; a single one has all, and nobody has nothing."""
    assert entropy_weights_of(EVEN, SURE, HALVED, present=[True, False, True]) == pytest.approx([1 / 3, 0, 2 / 3])
    assert entropy_weights_of(EVEN, SURE, present=[True, False]) == [1, 0]
    assert entropy_weights_of(EVEN, SURE, present=[False, False]) == [0, 0]


def test_average_weights_count_present_teachers() -> None:
    """Samples with two, one and no teacher."""
    present = torch.tensor([[True, True, False], [True, False, False]])

    assert losses.average_weights(present).tolist() == [[0.5, 1, 0], [0.5, 0, 0]]


def test_ca_mkd_weights_by_hand() -> None:
    """Every gate open: for p = ½, ¼, ¼ they are 0.4, 0.3, 0.3 and sum to 1 without renormalisation."""
    everywhere = [True, True, True]

    assert weights_of([0.5, 0.25, 0.25], everywhere, renormalise=False) == pytest.approx([0.4, 0.3, 0.3])


# --- Eq. (5) ------------------------------------------------------------------------------------------------------


def test_multi_teacher_by_hand() -> None:
    """One open teacher of weight ½: half the cross-entropy −Σ p_T log p_S = ¼ log 2 + ½·2 log 2 + ¼·2 log 2."""
    found = losses.multi_teacher(
        STUDENT[:1], torch.stack([TEACHER, STUDENT])[:, :1], torch.tensor([[0.5], [0]]), temperature=1.0
    )

    assert found.item() == pytest.approx(0.5 * 1.75 * LOG2)


def test_multi_teacher_targets_by_hand() -> None:
    """`soft` scales by τ², `soft_t1` ignores τ, `logits_mse` is the mean square over classes."""
    student, teacher = torch.tensor([[16.0, 1, 1]]).log(), torch.zeros(1, 1, 3)
    weights = torch.ones(1, 1)

    def found(target: Literal["soft", "soft_t1", "logits_mse"]) -> float:
        return losses.multi_teacher(student, teacher, weights, target=target, temperature=2.0).item()

    assert found("soft") == pytest.approx(4 / 3 * (math.log(6 / 4) + 2 * math.log(6)))
    assert found("soft_t1") == pytest.approx(1 / 3 * (math.log(18 / 16) + 2 * math.log(18)))
    assert found("logits_mse") == pytest.approx(math.log(16) ** 2 / 3)


# --- Eq. (6) ------------------------------------------------------------------------------------------------------


def test_feature_distance_by_hand() -> None:
    """h_S = (3, 4) against (0, 0) and (4, 3): mean and sum of squares, and between unit vectors."""
    student, teachers = torch.tensor([[3.0, 4]]), torch.tensor([[[0.0, 0]], [[4, 3]]])

    assert losses.feature_distance(student, teachers).flatten().tolist() == [12.5, 1]
    assert losses.feature_distance(student, teachers, reduction="sum").flatten().tolist() == [25, 2]
    normalised = losses.feature_distance(student, teachers, reduction="sum", l2_normalised=True)
    assert normalised.flatten().tolist() == pytest.approx([1, 0.08])


# --- Gradients ----------------------------------------------------------------------------------------------------

LOSSES: dict[str, Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]] = {
    "cross_entropy": lambda z, t, y, w: losses.cross_entropy(z, y),
    "cross_entropy smoothed": lambda z, t, y, w: losses.cross_entropy(z, y, label_smoothing=0.2),
    "soft_target_kl": lambda z, t, y, w: losses.soft_target_kl(z, t, temperature=4.0),
    "soft_target_kl plain": lambda z, t, y, w: losses.soft_target_kl(z, t, temperature=2.0, temperature_squared=False),
    "over_teachers": lambda z, t, y, w: losses.over_teachers(losses.soft_target_kl(z, t, temperature=1.0), w > 0.5),
    "multi_teacher soft": lambda z, t, y, w: losses.multi_teacher(z, t, w, temperature=4.0),
    "multi_teacher soft_t1": lambda z, t, y, w: losses.multi_teacher(z, t, w, target="soft_t1", temperature=4.0),
    "multi_teacher mse": lambda z, t, y, w: losses.multi_teacher(z, t, w, target="logits_mse", temperature=4.0),
    "feature_distance": lambda z, t, y, w: losses.feature_distance(z, t),
    "feature_distance sum": lambda z, t, y, w: losses.feature_distance(z, t, reduction="sum"),
    "feature_distance unit": lambda z, t, y, w: losses.feature_distance(z, t, l2_normalised=True),
}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_gradient_is_the_finite_difference(loss: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> None:
    """The student is pulled the way in which its loss falls (float64)."""
    student, teachers, labels, weights = random_batch()

    assert torch.autograd.gradcheck(lambda z: loss(z, teachers.detach(), labels, weights.detach()), student)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_no_gradient_reaches_teachers_or_weights(loss: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> None:
    """Teachers are never trained by the student's step, even if they still carry a graph."""
    student, teachers, labels, weights = random_batch()
    torch.autograd.backward(loss(student, teachers, labels, weights).sum())

    assert student.grad is not None
    assert teachers.grad is None
    assert weights.grad is None


def test_no_gradient_leaves_the_weighting() -> None:
    """CE_k and ω are constants to the student."""
    _, teachers, labels, _ = random_batch()
    ce = losses.teacher_cross_entropy(teachers, labels)
    everywhere = torch.ones_like(ce, dtype=torch.bool)

    assert not ce.requires_grad
    assert not losses.acs_weights(ce.requires_grad_(), everywhere, everywhere).requires_grad
