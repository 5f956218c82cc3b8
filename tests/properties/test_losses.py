"""What holds of the losses for any logits, labels, gates and missing teachers."""

from typing import Any, Literal

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor

from pskd_core import losses

SELECT = st.sampled_from(("soft", "hard"))
TARGET = st.sampled_from(("soft", "soft_t1", "logits_mse"))
TEMPERATURE = st.floats(0.5, 20)


def floats(*shape: int, size: float = 20) -> st.SearchStrategy[Tensor]:
    return hnp.arrays(np.float64, shape, elements=st.floats(-size, size)).map(torch.from_numpy)


def flags(*shape: int) -> st.SearchStrategy[Tensor]:
    return hnp.arrays(np.bool_, shape).map(torch.from_numpy)


@st.composite
def choices(draw: st.DrawFn, teachers: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """CE (m, 3), gates and presence of m teachers for three samples."""
    m = teachers or draw(st.integers(1, 5))
    return draw(floats(m, 3).map(torch.abs)), draw(flags(m, 3)), draw(flags(m, 3))


@given(choices(), SELECT)
def test_weights_sum_to_one_while_any_gate_is_open(
    choice: tuple[Tensor, Tensor, Tensor], select: Literal["soft", "hard"]
) -> None:
    """Σ_k ω_k is 1 where a present teacher is open, else 0; no weight is negative or goes to a closed teacher."""
    ce, gate, present = choice
    weights = losses.acs_weights(ce, gate, present, select=select)

    assert torch.allclose(weights.sum(dim=0), (gate & present).any(dim=0).double())
    assert (weights >= 0).all()
    assert (weights[~(gate & present)] == 0).all()


@given(choices(), SELECT, st.booleans(), st.randoms(use_true_random=False))
def test_weights_permute_with_the_teachers(
    choice: tuple[Tensor, Tensor, Tensor], select: Literal["soft", "hard"], renormalise: bool, random: Any
) -> None:
    """The order in which teachers are named means nothing."""
    order = random.sample(range(len(choice[0])), len(choice[0]))
    options: dict[str, Any] = {"select": select, "renormalise": renormalise}
    weights = losses.acs_weights(*choice, **options)
    permuted = losses.acs_weights(*(part[order] for part in choice), **options)

    assert torch.allclose(permuted, weights[order])


@given(st.integers(1, 5), floats(3).map(torch.abs), SELECT)
def test_equal_teachers_get_equal_weight(m: int, ce: Tensor, select: Literal["soft", "hard"]) -> None:
    """Each of m equally sure teachers gets 1/m."""
    everywhere = torch.ones(m, 3, dtype=torch.bool)
    weights = losses.acs_weights(ce.expand(m, 3), everywhere, everywhere, select=select)

    assert torch.allclose(weights, torch.full((m, 3), 1 / m, dtype=torch.float64))


@given(floats(2, 4, 5, size=5))
def test_two_open_teachers_share_by_probability(teacher_logits: Tensor) -> None:
    """ω_1 = p_1 / (p_1 + p_2), p_k teacher k's probability of the label, from logits to weights."""
    labels = torch.tensor([0, 1, 2, 4])
    everywhere = torch.ones(2, 4, dtype=torch.bool)
    weights = losses.acs_weights(losses.teacher_cross_entropy(teacher_logits, labels), everywhere, everywhere)

    p = teacher_logits.softmax(dim=-1)[:, range(4), labels]
    assert torch.allclose(weights, p / p.sum(dim=0))


@given(choices(), floats(1, 3).map(torch.abs))
def test_an_absent_teacher_changes_nothing(choice: tuple[Tensor, Tensor, Tensor], other_ce: Tensor) -> None:
    """Adding a teacher that no sample has leaves the others' weights as they are."""
    ce, gate, present = choice
    more = losses.acs_weights(
        torch.cat([ce, other_ce]),
        torch.cat([gate, torch.ones(1, 3, dtype=torch.bool)]),
        torch.cat([present, torch.zeros(1, 3, dtype=torch.bool)]),
        renormalise=False,
    )

    assert torch.allclose(more[:-1], losses.acs_weights(ce, gate, present, renormalise=False))
    assert (more[-1] == 0).all()


@given(floats(3, 4, 5), flags(3, 4), st.randoms(use_true_random=False))
def test_entropy_weights_sum_to_one_and_permute(logits: Tensor, present: Tensor, random: Any) -> None:
    """As ACS weights do: 1 where any teacher is there, nothing for an absent one, and the order means nothing."""
    weights = losses.entropy_weights(logits, present)
    order = random.sample(range(3), 3)

    assert torch.allclose(weights.sum(dim=0), present.any(dim=0).double())
    assert (weights >= -1e-12).all()
    assert (weights[~present] == 0).all()
    assert torch.allclose(losses.entropy_weights(logits[order], present[order]), weights[order])


@given(choices())
def test_trust_falls_as_the_teachers_error_grows(choice: tuple[Tensor, Tensor, Tensor]) -> None:
    """Of two open teachers the one with the smaller cross-entropy never gets less."""
    ce, _, _ = choice
    everywhere = torch.ones_like(ce, dtype=torch.bool)
    weights = losses.acs_weights(ce, everywhere, everywhere)

    by_error = weights.gather(0, ce.argsort(dim=0))
    assert (by_error[1:] <= by_error[:-1] + 1e-12).all()


@given(floats(4, 5), floats(4, 5), TEMPERATURE)
def test_divergence_is_a_distance_of_distributions(student: Tensor, teacher: Tensor, temperature: float) -> None:
    """Never negative, 0 for equals, and blind to a constant added to all logits."""
    divergence = losses.soft_target_kl(student, teacher, temperature=temperature)

    assert (divergence >= -1e-9).all()
    assert torch.allclose(losses.soft_target_kl(teacher, teacher, temperature=temperature), torch.zeros(4).double())
    shifted = losses.soft_target_kl(student + 3, teacher - 7, temperature=temperature)
    assert torch.allclose(shifted, divergence, atol=1e-6)


@given(floats(4, 5, size=5), floats(4, 5, size=5), TEMPERATURE)
def test_following_one_teacher_pulls_as_its_divergence_does(
    student: Tensor, teacher: Tensor, temperature: float
) -> None:
    """L_MK of a single teacher with ω = 1 and L_K of it differ by the teacher's entropy alone: one gradient."""
    student.requires_grad_()
    follow = losses.multi_teacher(student, teacher[None], torch.ones(1, 4).double(), temperature=temperature)
    divergence = losses.soft_target_kl(student, teacher, temperature=temperature)

    (one,) = torch.autograd.grad(follow.sum(), student)
    (other,) = torch.autograd.grad(divergence.sum(), student)
    assert torch.allclose(one, other, atol=1e-9)


@given(floats(4, 5), floats(3, 4, 5), floats(3, 4).map(torch.abs), TARGET, TEMPERATURE)
def test_multi_teacher_is_linear_in_the_weights(
    student: Tensor,
    teachers: Tensor,
    weights: Tensor,
    target: Literal["soft", "soft_t1", "logits_mse"],
    temperature: float,
) -> None:
    """Non-negative, 0 without weight, and the sum of what each teacher asks alone."""

    def follow(w: Tensor) -> Tensor:
        return losses.multi_teacher(student, teachers, w, target=target, temperature=temperature)

    alone = [follow(weights * torch.eye(3)[k].unsqueeze(-1)) for k in range(3)]
    assert (follow(weights) >= 0).all()
    assert (follow(torch.zeros_like(weights)) == 0).all()
    assert torch.allclose(follow(weights), torch.stack(alone).sum(dim=0))


@given(floats(4, 6), floats(2, 4, 6))
def test_feature_distances_agree_on_what_they_measure(student: Tensor, teachers: Tensor) -> None:
    """The sum is D times the mean, a teacher's own features are at distance 0, unit vectors at most at 4."""
    mean = losses.feature_distance(student, teachers)
    unit = losses.feature_distance(student, teachers, reduction="sum", l2_normalised=True)

    assert torch.allclose(losses.feature_distance(student, teachers, reduction="sum"), 6 * mean)
    assert (losses.feature_distance(teachers[0], teachers)[0] == 0).all()
    assert (unit <= 4 + 1e-9).all()


@given(floats(4, 5), st.floats(0, 0.9))
def test_smoothing_mixes_label_and_uniform(logits: Tensor, epsilon: float) -> None:
    """(1 − ε) of the plain loss and ε of the mean loss over all labels."""
    labels = torch.tensor([0, 4, 2, 2])
    every = torch.stack([losses.cross_entropy(logits, torch.full((4,), c)) for c in range(5)]).mean(dim=0)
    expected = (1 - epsilon) * losses.cross_entropy(logits, labels) + epsilon * every

    assert torch.allclose(losses.cross_entropy(logits, labels, label_smoothing=epsilon), expected)
