"""The method's part of a spec: what may be left out, what is refused, and where an error points."""

from typing import Any

import pytest

from pskd_core.config import Distill, JobSpec, configuration_hash, parse_spec
from pskd_core.distillation import AcsWeighting, AverageWeighting, FitNet, PskdLoss, Rkd
from pskd_core.errors import SpecError


def spec(method: dict[str, Any], **fields: Any) -> JobSpec:
    return parse_spec({"method": {"kind": "distill", **method}, **fields})


def distill(**method: Any) -> Distill:
    found = spec(method).method
    assert isinstance(found, Distill)
    return found


def test_a_loss_without_kind_is_the_papers() -> None:
    """Specs from before there was a choice mean what they meant, and keep their hash."""
    short = spec({"loss": {"alpha": 0.3, "weighting": {"gate": "none"}}})
    whole = spec({"loss": {"kind": "pskd", "alpha": 0.3, "weighting": {"kind": "acs", "gate": "none"}}})

    assert short == whole
    assert configuration_hash(short) == configuration_hash(whole)
    assert distill(loss={"alpha": 0.3}).loss == PskdLoss(alpha=0.3)


@pytest.mark.parametrize(
    ("kind", "weights"),
    [
        ("logits", {"weight": 0.1}),
        ("fitnet", {"weight": 0.1}),
        ("st", {"weight": 0.1, "temperature": 4}),
        ("at", {"weight": 1000}),
        ("rkd", {"distance_weight": 25, "angle_weight": 50}),
        ("sp", {"weight": 3000}),
        ("cc", {"weight": 100, "kernel_gamma": 0.4, "taylor_order": 2}),
    ],
)
def test_defaults_are_those_of_the_zoo(kind: str, weights: dict[str, float]) -> None:
    """And every teacher counts alike, where the paper's own loss has its selection."""
    loss = distill(loss={"kind": kind}).loss

    assert loss.model_dump(exclude={"kind", "weighting"}) == weights
    assert loss.weighting == AverageWeighting()
    assert PskdLoss().weighting == AcsWeighting()


def test_losses_survive_json() -> None:
    """What a job stores is what it reads back."""
    for loss in (FitNet(weight=3), Rkd(angle_weight=0), PskdLoss(weighting=AverageWeighting())):
        whole = spec({"loss": loss.model_dump(mode="json"), "schedule": {"kind": "checkpoints", "every": 5}})
        assert JobSpec.model_validate_json(whole.model_dump_json()) == whole


@pytest.mark.parametrize(
    ("method", "pointer"),
    [
        ({"loss": {"kind": "sp", "weight": -1}}, "/method/loss/weight"),
        ({"loss": {"kind": "sp", "alpha": 1}}, "/method/loss/alpha"),
        ({"loss": {"kind": "crd"}}, "/method/loss"),
        ({"loss": {"alpha": -1}}, "/method/loss/alpha"),
        ({"loss": {"kind": "at", "weighting": {"kind": "average", "gate": "none"}}}, "/method/loss/weighting/gate"),
        ({"loss": {"weighting": {"gate": "ajar"}}}, "/method/loss/weighting/gate"),
        ({"schedule": {"kind": "checkpoints", "every": 0}}, "/method/schedule/every"),
    ],
)
def test_errors_point_at_the_field(method: dict[str, Any], pointer: str) -> None:
    """Union tags are no part of the path that a user wrote."""
    with pytest.raises(SpecError) as refused:
        spec(method)
    assert [error["pointer"] for error in refused.value.errors] == [pointer]


def test_angles_of_a_large_batch_are_refused() -> None:
    """N³ numbers would end the run by memory; distances alone may have any batch."""
    with pytest.raises(SpecError, match="256"):
        spec({"loss": {"kind": "rkd"}}, training={"batch_size": 257})
    distances = spec({"loss": {"kind": "rkd", "angle_weight": 0}}, training={"batch_size": 4096})
    assert distances.training.batch_size == 4096


def test_unknown_teachers_are_refused() -> None:
    """`soft_target.teachers` may name the job's teachers alone."""
    with pytest.raises(SpecError, match="unknown teachers: nobody"):
        distill(loss={"soft_target": {"teachers": ["nobody"]}})


def test_a_recipe_of_before_keeps_its_hash() -> None:
    """Fields that came later count where they are used, or every row of an old leaderboard would begin anew."""
    assert configuration_hash(parse_spec({})) == "5b159fe385f15f72cdfd79ba46ee672a7dc1a00b095d8318c8dcdcc365e08376"
    assert configuration_hash(parse_spec({"augment": {"mixup": 0.5}})) != configuration_hash(parse_spec({}))
