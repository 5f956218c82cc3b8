"""The compared losses against constants worked out by hand, what they are blind to, and their gradients."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pskd_core import rivals
from pskd_core.errors import SpecError

ROOT_HALF = math.sqrt(0.5)


def random_tensor(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# --- One sample at a time -----------------------------------------------------------------------------------------


def test_logit_distance_by_hand() -> None:
    """(1, 2) and (3, 2): the mean of 4 and 0."""
    assert rivals.logit_distance(torch.tensor([[1.0, 2]]), torch.tensor([[3.0, 2]])).tolist() == [2]


def test_hint_distance_by_hand() -> None:
    """Frames 1 3 5 7 pool to 2 6, against 2 2: the mean of 0 and 16."""
    student = torch.tensor([[[1.0, 3, 5, 7]]])
    teacher = torch.tensor([[[2.0, 2]]])

    assert rivals.hint_distance(student, teacher).tolist() == [8]


def test_attention_distance_by_hand() -> None:
    """Q_S = (3, 4) and Q_T = (1, 0): the mean of (0.6 − 1)² and 0.8²; two channels or one."""
    student = torch.tensor([[[1.0, 2], [math.sqrt(2), 0]]])
    teacher = torch.tensor([[[1.0, 0]]])

    assert rivals.attention_distance(student, teacher).item() == pytest.approx(0.4)


def test_attention_sees_when_and_not_how_much() -> None:
    """A louder map, or one with its channels in another order, attends alike; one with its frames turned does not."""
    student, teacher = random_tensor(3, 4, 8), random_tensor(3, 5, 6, seed=1)
    expected = rivals.attention_distance(student, teacher)

    assert torch.allclose(rivals.attention_distance(3 * student.flip(1), teacher), expected)
    assert not torch.allclose(rivals.attention_distance(student.flip(2), teacher), expected)


def test_attention_over_a_single_frame_is_refused() -> None:
    """It would be 0 whatever the networks do, and nobody would notice."""
    with pytest.raises(SpecError, match="two frames"):
        rivals.attention_distance(torch.ones(2, 3, 1), torch.ones(2, 3, 8))


# --- Relations between samples ------------------------------------------------------------------------------------


def test_distance_relation_by_hand() -> None:
    """Points 0, 1, 3 have relative distances ½, 1½, 1 (mean 2); an equilateral triangle has 1 everywhere."""
    student = torch.tensor([[0.0], [1], [3]])
    found = rivals.distance_relation(student, torch.eye(3))

    assert found.tolist() == pytest.approx([1 / 12, 1 / 24, 1 / 24])


def test_angle_relation_by_hand() -> None:
    """A right angle between two of 45° against three points in a row: cosines 0, √½, √½ against −1, 1, 1."""
    student = torch.tensor([[0.0, 0], [1, 0], [0, 1]])
    found = rivals.angle_relation(student, torch.tensor([[0.0], [1], [-1]]))

    acute = (1 - ROOT_HALF) ** 2 / 9
    assert found.tolist() == pytest.approx([1 / 9, acute, acute])


def test_similarity_relation_by_hand() -> None:
    """Two samples that share nothing, rows (1, 0), against two that are alike, rows (√½, √½)."""
    found = rivals.similarity_relation(torch.eye(2), torch.ones(2, 1))

    assert found.tolist() == pytest.approx([((1 - ROOT_HALF) ** 2 + 0.5) / 2] * 2)


def test_correlation_relation_by_hand() -> None:
    """γ = 0.4, order 2: kernels exp(−0.8) · 1 at right angles and exp(−0.8) · (1 + 0.8 + 0.32) for equals."""
    found = rivals.correlation_relation(torch.eye(2), torch.ones(2, 1))

    assert found.tolist() == pytest.approx([(1.12 * math.exp(-0.8)) ** 2 / 2] * 2)


def test_a_long_series_is_the_gaussian_kernel() -> None:
    """At order 8 the kernels of unit vectors are exp(−γ‖x − y‖²)."""
    student, teacher = (torch.nn.functional.normalize(random_tensor(5, 3, seed=seed)) for seed in (0, 1))
    kernels = [(-0.4 * torch.cdist(each, each).square()).exp() for each in (student, teacher)]
    found = rivals.correlation_relation(student, teacher, taylor_order=8)

    assert torch.allclose(found, (kernels[0] - kernels[1]).square().mean(dim=1), atol=1e-6)


def test_the_mean_of_the_samples_is_the_published_loss() -> None:
    """Written once more as their papers do, a scalar a batch."""
    student, teacher = random_tensor(6, 5), random_tensor(6, 4, seed=1)

    grams = [each @ each.T for each in (student, teacher)]
    rows = [gram / gram.norm(dim=1, keepdim=True) for gram in grams]
    similarity = (rows[0] - rows[1]).norm() ** 2 / 36
    distances = [torch.cdist(each, each) for each in (student, teacher)]
    own, told = (each / each[each > 0].mean() for each in distances)
    distance = torch.nn.functional.huber_loss(own, told)

    assert rivals.similarity_relation(student, teacher).mean().item() == pytest.approx(similarity.item())
    assert rivals.distance_relation(student, teacher).mean().item() == pytest.approx(distance.item())


RELATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "rkd_distance": rivals.distance_relation,
    "rkd_angle": rivals.angle_relation,
    "sp": rivals.similarity_relation,
    "cc": rivals.correlation_relation,
}


@pytest.mark.parametrize("relation", RELATIONS.values(), ids=RELATIONS)
def test_relations_are_blind_to_rotation_and_scale(relation: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Nothing is asked of a student whose samples lie as the teacher's, turned and twice as far from the origin."""
    teacher = random_tensor(6, 4)
    turned = teacher @ torch.linalg.qr(random_tensor(4, 4, seed=1)).Q

    assert torch.allclose(relation(2 * turned, teacher), torch.zeros(6, dtype=torch.float64), atol=1e-12)
    assert (relation(random_tensor(6, 4, seed=2), teacher) > 0).all()


@pytest.mark.parametrize("relation", RELATIONS.values(), ids=RELATIONS)
def test_relations_permute_with_the_samples(relation: Callable[[Tensor, Tensor], Tensor]) -> None:
    """The order within a batch means nothing."""
    student, teacher = random_tensor(5, 4), random_tensor(5, 3, seed=1)
    order = torch.tensor([3, 0, 4, 1, 2])

    assert torch.allclose(relation(student[order], teacher[order]), relation(student, teacher)[order])


@pytest.mark.parametrize("relation", RELATIONS.values(), ids=RELATIONS)
@pytest.mark.parametrize("count", [0, 1])
def test_without_a_partner_there_is_no_relation(relation: Callable[[Tensor, Tensor], Tensor], count: int) -> None:
    """A batch of one, or none, divides by no pairs."""
    assert relation(random_tensor(count, 4), random_tensor(count, 3)).tolist() == [0] * count


@pytest.mark.parametrize("relation", RELATIONS.values(), ids=RELATIONS)
@pytest.mark.parametrize("alike", [slice(0, 2), slice(None)], ids=["two", "all"])
def test_samples_that_coincide_have_a_gradient(relation: Callable[[Tensor, Tensor], Tensor], alike: slice) -> None:
    """A distance of 0 has no direction; its gradient is finite all the same."""
    student = random_tensor(4, 3)
    student[alike] = student[0].clone()
    student.requires_grad_()
    values = relation(student, random_tensor(4, 3, seed=1))
    torch.autograd.backward(values.sum())

    assert torch.isfinite(values).all()
    assert student.grad is not None
    assert student.grad.abs().max() < 1e3


# --- Gradients ----------------------------------------------------------------------------------------------------

COMPARISONS: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], tuple[int, ...], tuple[int, ...]]] = {
    "logits": (rivals.logit_distance, (4, 3), (4, 3)),
    "fitnet": (rivals.hint_distance, (2, 3, 6), (2, 3, 4)),
    "fitnet of a sensor teacher": (rivals.hint_distance, (2, 3, 4), (2, 3, 6)),
    "at": (rivals.attention_distance, (2, 3, 6), (2, 5, 4)),
    "rkd_distance": (rivals.distance_relation, (4, 3), (4, 5)),
    "rkd_angle": (rivals.angle_relation, (4, 3), (4, 5)),
    "sp": (rivals.similarity_relation, (3, 2, 3), (3, 2, 2)),
    "cc": (rivals.correlation_relation, (4, 3), (4, 5)),
}


@pytest.mark.parametrize(("loss", "student", "teacher"), COMPARISONS.values(), ids=COMPARISONS)
def test_gradient_is_the_finite_difference(
    loss: Callable[[Tensor, Tensor], Tensor], student: tuple[int, ...], teacher: tuple[int, ...]
) -> None:
    """The student is pulled the way in which its loss falls (float64), one value a sample."""
    given, told = random_tensor(*student).requires_grad_(), random_tensor(*teacher, seed=1)

    assert loss(given, told).shape == (len(given),)
    assert torch.autograd.gradcheck(lambda x: loss(x, told), given)


@pytest.mark.parametrize(("loss", "student", "teacher"), COMPARISONS.values(), ids=COMPARISONS)
def test_no_gradient_reaches_the_teacher(
    loss: Callable[[Tensor, Tensor], Tensor], student: tuple[int, ...], teacher: tuple[int, ...]
) -> None:
    """Even if it still carries a graph."""
    given, told = random_tensor(*student).requires_grad_(), random_tensor(*teacher, seed=1).requires_grad_()
    torch.autograd.backward(loss(given, told).sum())

    assert given.grad is not None
    assert told.grad is None
