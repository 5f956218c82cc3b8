"""The objective of a compared loss: its terms, whom a sample follows, and what an absent teacher may not change."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from pskd_core import losses, rivals
from pskd_core.distillation import Loss
from pskd_core.models.output import Output
from pskd_core.objective import Objective, objective

LABELS = torch.tensor([0, 1, 2, 0, 1])
KINDS = ("logits", "fitnet", "st", "at", "rkd", "sp", "cc")
WEIGHTINGS = ("average", "entropy", "ca_mkd", "acs")
N = len(LABELS)


def output(seed: int, *map_shape: int) -> Output:
    """Five samples, three classes, four features."""
    random = torch.Generator().manual_seed(seed)
    shapes = ((N, 3), (N, 4), (N, *map_shape))
    return Output(*(torch.randn(*shape, generator=random, dtype=torch.float64).requires_grad_() for shape in shapes))


def student() -> Output:
    return output(0, 2, 6)


def teachers() -> dict[str, Output]:
    """Of different widths and lengths."""
    return {"train": output(1, 3, 4), "worn": output(2, 5, 8)}


def regressors() -> dict[str, nn.Module]:
    torch.manual_seed(0)
    return {name: nn.Conv1d(2, guide.feature_map.shape[1], 1).double() for name, guide in teachers().items()}


def loss(kind: str, **fields: Any) -> Loss:
    found: Loss = TypeAdapter(Loss).validate_python({"kind": kind, **fields})
    return found


def weigh(spec: Loss, guides: dict[str, Output] | None = None, own: Output | None = None, **more: Any) -> Objective:
    options: dict[str, Any] = {"label_smoothing": 0.0, "regressors": regressors()} | more
    return objective(own or student(), guides or teachers(), LABELS, loss=spec, **options)


def by_hand(kind: str) -> Tensor:
    """Each teacher's value for each sample (m, N)."""
    own, maps = student(), regressors()
    comparisons: dict[str, Callable[[Output, nn.Module], Tensor]] = {
        "logits": lambda t, r: rivals.logit_distance(own.logits, t.logits),
        "fitnet": lambda t, r: rivals.hint_distance(r(own.feature_map), t.feature_map),
        "st": lambda t, r: losses.soft_target_kl(own.logits, t.logits, temperature=4.0),
        "at": lambda t, r: rivals.attention_distance(own.feature_map, t.feature_map),
        "sp": lambda t, r: rivals.similarity_relation(own.feature_map, t.feature_map),
        "cc": lambda t, r: rivals.correlation_relation(own.embedding, t.embedding),
    }
    return torch.stack([comparisons[kind](guide, maps[name]) for name, guide in teachers().items()])


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "rkd"])
def test_total_is_the_label_loss_and_the_weighed_mean_over_teachers(kind: str) -> None:
    """L = CE + weight · mean over teachers and batch, with the weight of the configuration."""
    found = weigh(loss(kind, weight=0.7))
    ce, value = losses.cross_entropy(student().logits, LABELS).mean().item(), by_hand(kind).mean().item()

    assert found.terms.keys() == {"ce", kind}
    assert found.terms[kind].item() == pytest.approx(value)
    assert found.total.item() == pytest.approx(ce + 0.7 * value)
    assert torch.equal(found.weights, torch.full((2, N), 0.5, dtype=torch.float64))


def test_rkd_has_a_coefficient_for_distances_and_one_for_angles() -> None:
    """25 and 50 unless said otherwise; a part whose coefficient is 0 is not there."""
    found = weigh(loss("rkd"))
    terms = {name: term.item() for name, term in found.terms.items()}

    assert terms.keys() == {"ce", "rkd_distance", "rkd_angle"}
    assert found.total.item() == pytest.approx(terms["ce"] + 25 * terms["rkd_distance"] + 50 * terms["rkd_angle"])
    assert weigh(loss("rkd", angle_weight=0)).terms.keys() == {"ce", "rkd_distance"}


@pytest.mark.parametrize("kind", ["pskd", *KINDS])
@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_every_loss_takes_every_weighting(kind: str, weighting: str) -> None:
    """Weights depend on teachers and labels alone, so they are the same whatever they weigh."""
    found = weigh(loss(kind, weighting={"kind": weighting}))
    reference = weigh(loss("logits", weighting={"kind": weighting}))

    assert torch.equal(found.weights, reference.weights)
    assert torch.isfinite(found.total)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_a_sample_follows_its_teachers_by_their_weights(weighting: str) -> None:
    """The term is the batch mean of Σ_k ω_k · loss_k, also for a loss between samples."""
    for kind in ("logits", "sp"):
        found = weigh(loss(kind, weighting={"kind": weighting}))
        expected = (found.weights * by_hand(kind)).sum(dim=0).mean()
        assert found.terms[kind].item() == pytest.approx(expected.item())


@pytest.mark.parametrize("gate", ["loss_per_sample", "loss_batch"])
def test_loss_gates_compare_with_the_rivals_own_distillation_loss(gate: str) -> None:
    """A teacher is open where CE_k ≤ CE + weight · mean over teachers, as L_KD of Eq. (1) has it."""
    found = weigh(loss("logits", weight=0.2, weighting={"kind": "acs", "gate": gate}))
    distillation = losses.cross_entropy(student().logits, LABELS) + 0.2 * by_hand("logits").mean(dim=0)
    if gate == "loss_batch":
        distillation = distillation.mean()
    logits = torch.stack([guide.logits for guide in teachers().values()])

    assert torch.equal(found.weights > 0, losses.teacher_cross_entropy(logits, LABELS) <= distillation)


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_is_the_students_and_its_regressors(kind: str) -> None:
    """No teacher is trained by the student's step; r is, and only for `fitnet`."""
    own, guides, maps = student(), teachers(), regressors()
    torch.autograd.backward(weigh(loss(kind), guides, own, regressors=maps).total)

    assert own.logits.grad is not None
    assert all(part.grad is None for guide in guides.values() for part in guide)
    trained = [parameter.grad is not None for each in maps.values() for parameter in each.parameters()]
    assert set(trained) == {kind == "fitnet"}


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_is_the_finite_difference(kind: str) -> None:
    """Of the whole objective, with a teacher that two samples lack (float64)."""
    own, guides = student(), teachers()
    present = {"worn": torch.tensor([True, False, True, True, False])}

    def total(*parts: Tensor) -> Tensor:
        return weigh(
            loss(kind, weight=1.0) if kind != "rkd" else loss(kind), guides, Output(*parts), present=present
        ).total

    assert torch.autograd.gradcheck(total, tuple(own))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_an_absent_teacher_may_say_anything(kind: str, weighting: str) -> None:
    """Even NaN reaches neither value nor gradient of the samples that lack it, nor of their neighbours."""
    results = []
    for noise in (0.0, float("nan")):
        own, guides = student(), teachers()
        absent = torch.tensor([False, True, False, False, True])
        worn = Output(*(part.detach().clone() for part in guides["worn"]))
        for part in worn:
            part[absent] = noise
        spec = loss(kind, weighting={"kind": weighting})
        found = weigh(spec, {**guides, "worn": worn}, own, present={"worn": ~absent})
        torch.autograd.backward(found.total)
        results.append([found.total, *(part.grad for part in own if part.grad is not None)])

    for clean, noisy in zip(*results, strict=True):
        assert torch.equal(clean, noisy)
        assert torch.isfinite(noisy).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_teacher_relates_the_samples_that_have_it(kind: str) -> None:
    """Where two samples alone have a teacher, it says of them what it would say of a batch of these two."""
    rows = torch.tensor([1, 3])
    held = torch.zeros(N, dtype=torch.bool).index_fill(0, rows, value=True)
    only = {"worn": teachers()["worn"]}
    mixed = weigh(loss(kind), only, present={"worn": held})
    own, worn = (Output(*(part[rows] for part in each)) for each in (student(), only["worn"]))
    alone = objective(own, {"worn": worn}, LABELS[rows], loss=loss(kind), label_smoothing=0.0, regressors=regressors())

    for name in alone.terms.keys() - {"ce"}:
        assert mixed.terms[name].item() == pytest.approx(alone.terms[name].item() * 2 / N)
    assert mixed.weights.tolist() == [held.double().tolist()]


@pytest.mark.parametrize("kind", KINDS)
def test_one_or_no_sample_with_a_teacher_is_no_error(kind: str) -> None:
    """A batch in which a teacher has one sample, or none, has a finite loss."""
    for held in ([False, True, False, False, False], [False] * N):
        found = weigh(loss(kind), present={"worn": torch.tensor(held)})
        assert torch.isfinite(found.total)
