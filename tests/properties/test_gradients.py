"""Every loss pulls the student the way in which it falls: its gradient is the finite difference, whatever the batch."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from torch import Tensor, nn

from pskd_core import distillation, losses, rivals
from pskd_core.distillation import Loss
from pskd_core.fields import Frozen
from pskd_core.models.output import Output
from pskd_core.objective import objective

N, CLASSES, WIDTH = 4, 3, 5
KINDS = ("pskd", "logits", "fitnet", "st", "at", "rkd", "sp", "cc")
WEIGHTINGS = ("average", "entropy", "ca_mkd", "acs")
SEEDS = st.integers(0, 2**32 - 1)
LABELS = st.lists(st.integers(0, CLASSES - 1), min_size=N, max_size=N).map(torch.tensor)

PSKD = st.fixed_dictionaries(
    {
        "temperature": st.floats(0.5, 10),
        "soft_target": st.fixed_dictionaries({"reduction": st.sampled_from(("mean", "sum"))}),
        "multi_teacher": st.fixed_dictionaries(
            {
                "target": st.sampled_from(("soft", "soft_t1", "logits_mse")),
                "fallback": st.sampled_from(("none", "ce")),
            }
        ),
        "feature": st.fixed_dictionaries(
            {
                "reduction": st.sampled_from(("mean", "sum")),
                "gated": st.booleans(),
                "l2_normalised": st.booleans(),
            }
        ),
    }
)


def drawn(random: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=random, dtype=torch.float64)


def output(random: torch.Generator, *map_shape: int) -> Output:
    return Output(drawn(random, N, CLASSES), drawn(random, N, WIDTH), drawn(random, N, *map_shape))


# One student against one teacher: logits, features, and maps of unequal widths and lengths.
COMPARED: dict[str, tuple[Callable[..., Tensor], tuple[int, ...], tuple[int, ...]]] = {
    "soft_target_kl": (lambda z, t: losses.soft_target_kl(z, t, temperature=4.0), (N, 3), (N, 3)),
    "over_teachers": (lambda z, t: losses.over_teachers((z - t).square(), t > 0), (2, N), (2, N)),
    "multi_teacher": (
        lambda z, t: losses.multi_teacher(z, t, t.square().mean(dim=2), temperature=4.0),
        (N, 3),
        (2, N, 3),
    ),
    "feature_distance": (losses.feature_distance, (N, 5), (2, N, 5)),
    "logit_distance": (rivals.logit_distance, (N, 3), (N, 3)),
    "hint_distance": (rivals.hint_distance, (N, 3, 6), (N, 3, 4)),
    "attention_distance": (rivals.attention_distance, (N, 3, 6), (N, 5, 4)),
    "distance_relation": (rivals.distance_relation, (N, 3), (N, 5)),
    "angle_relation": (rivals.angle_relation, (N, 3), (N, 5)),
    "similarity_relation": (rivals.similarity_relation, (N, 2, 3), (N, 2, 2)),
    "correlation_relation": (rivals.correlation_relation, (N, 3), (N, 5)),
}
# What is said of the teachers alone carries no gradient; `cross_entropy` has labels in a teacher's place.
OF_TEACHERS = {
    "teacher_cross_entropy", "correct_gate", "loss_gate", "acs_weights", "average_weights", "entropy_weights",
}  # fmt: skip


def test_no_loss_is_left_out() -> None:
    """Every public function of both modules is checked here, or weighs teachers; every kind of the spec as well."""
    public = {
        name
        for module in (losses, rivals)
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    }
    specs = [each for each in vars(distillation).values() if inspect.isclass(each) and issubclass(each, Frozen)]
    kinds = {each.model_fields["kind"].default for each in specs if {"weighting", "kind"} <= each.model_fields.keys()}

    assert public == COMPARED.keys() | OF_TEACHERS | {"cross_entropy"}
    assert kinds == set(KINDS)


@pytest.mark.parametrize(("loss", "student", "teacher"), COMPARED.values(), ids=COMPARED)
@settings(deadline=None, max_examples=10)
@given(seed=SEEDS)
def test_of_each_function(
    loss: Callable[..., Tensor], student: tuple[int, ...], teacher: tuple[int, ...], seed: int
) -> None:
    """In float64, at any point, for each value that the function returns."""
    random = torch.Generator().manual_seed(seed)
    own, told = drawn(random, *student).requires_grad_(), drawn(random, *teacher)

    assert torch.autograd.gradcheck(lambda x: loss(x, told), own)


@settings(deadline=None, max_examples=10)
@given(SEEDS, LABELS, st.floats(0, 0.9))
def test_of_the_label_loss(seed: int, labels: Tensor, smoothing: float) -> None:
    """Cross-entropy, with any smoothing of the labels."""
    logits = drawn(torch.Generator().manual_seed(seed), N, CLASSES).requires_grad_()

    assert torch.autograd.gradcheck(lambda z: losses.cross_entropy(z, labels, label_smoothing=smoothing), logits)


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=10)
@given(
    seed=SEEDS,
    labels=LABELS,
    weighting=st.sampled_from(WEIGHTINGS),
    smoothing=st.floats(0, 0.5),
    present=st.lists(st.booleans(), min_size=N, max_size=N).map(torch.tensor),
    options=PSKD,
)
def test_of_the_whole_objective(
    kind: str, seed: int, labels: Tensor, weighting: str, smoothing: float, present: Tensor, options: dict[str, Any]
) -> None:
    """For each loss of the spec, each weighting and samples that lack a teacher: by logits, embedding and map alike."""
    random = torch.Generator().manual_seed(seed)
    own = [part.requires_grad_() for part in output(random, 2, 6)]
    teachers = {"graph": output(random, 3, 4), "worn": output(random, 5, 8)}
    regressors = {name: nn.Conv1d(2, each.feature_map.shape[1], 1).double() for name, each in teachers.items()}
    document = {"kind": kind, "weighting": {"kind": weighting}, **(options if kind == "pskd" else {})}
    # The tabled weights reach 3000, beside which the label loss drowns in rounding.
    document |= {"weight": 2.0} if kind not in {"pskd", "rkd"} else {}
    loss: Loss = TypeAdapter(Loss).validate_python(document)

    def total(logits: Tensor, embedding: Tensor, feature_map: Tensor) -> Tensor:
        return objective(
            Output(logits, embedding, feature_map),
            teachers,
            labels,
            loss=loss,
            label_smoothing=smoothing,
            present={"worn": present},
            regressors=regressors,
        ).total + 0 * (embedding.sum() + feature_map.sum())  # what a loss does not read has gradient 0

    assert torch.autograd.gradcheck(total, own, atol=1e-4)
