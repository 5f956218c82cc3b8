"""The training loop on a small synthetic dataset: what repeats, what is independent of what, what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pskd_core.config import JobSpec, configuration_hash, parse_spec
from pskd_core.data.columnar import Dataset
from pskd_core.data.splits import plan_folds
from pskd_core.errors import CheckpointError, NonFiniteLossError, SpecError
from pskd_core.losses import cross_entropy
from pskd_core.run import Run
from pskd_core.training.meter import EpochReport
from pskd_core.training.views import Views
from tests.small import SMALL_SPEC, small_dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return small_dataset(tmp_path_factory.mktemp("data") / "dataset")


@pytest.fixture
def spec() -> JobSpec:
    return parse_spec(SMALL_SPEC)


def changed(spec: JobSpec, **fields: Any) -> JobSpec:
    """`spec` with fields replaced; nested ones as `method__schedule=…`."""
    data = spec.model_dump(mode="json")
    for path, value in fields.items():
        *parents, last = path.split("__")
        target = data
        for parent in parents:
            target = target[parent]
        target[last] = value
    return parse_spec(data)


def make_run(dataset: Dataset, spec: JobSpec, *, seed: int = 0, resume: Path | None = None) -> Run:
    """The run of a spec's only fold."""
    (fold,) = plan_folds(spec, dataset.info, dataset.recordings)
    return Run(dataset, spec, fold, seed, resume=resume)


def weights(run: Run, name: str) -> dict[str, torch.Tensor]:
    """A copy of a network's state."""
    return {key: value.clone() for key, value in run.state.learners[name].network.state_dict().items()}


def equal_bits(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Whether two states agree in every bit."""
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def test_reports_every_term_of_every_network(dataset: Dataset, spec: JobSpec) -> None:
    """Each epoch of the plan yields one report; student epochs carry all terms of eq. (7) and who is followed."""
    reports = list(make_run(dataset, spec).epochs())
    assert [report.phase for report in reports] == ["teachers", "student"] * 3
    assert reports[0].metrics.keys() == {"skeleton/ce", "skeleton/total", "fusion/ce", "fusion/total"}
    terms = {"ce", "kd", "mk", "feature", "total", "follows/skeleton", "follows/fusion"}
    assert reports[1].metrics.keys() == {f"student/{term}" for term in terms}
    assert reports[0].by_class == {}
    for name in ("student/follows/skeleton", "student/follows/fusion"):
        of_classes = [reports[1].by_class[f"{name}/{index}"] for index in range(len(dataset.info.classes))]
        # Trials are as many of each class, and all of them make up the epoch.
        assert sum(of_classes) / len(of_classes) == pytest.approx(reports[1].metrics[name], abs=0.02)
    method: Any = spec.method
    means = reports[1].metrics
    expected = (
        means["student/ce"]
        + method.loss.alpha * means["student/kd"]
        + method.loss.beta * means["student/mk"]
        + method.loss.gamma * means["student/feature"]
    )
    assert means["student/total"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("stop_after", [1, 2, 5])
def test_a_resumed_run_equals_the_unbroken_one_bit_for_bit(
    dataset: Dataset, spec: JobSpec, tmp_path: Path, stop_after: int
) -> None:
    """Stopped after any epoch and resumed in a new process's state, metrics, weights and logits are the same bits."""
    unbroken = make_run(dataset, spec)
    reports = list(unbroken.epochs())
    broken = make_run(dataset, spec)
    first: list[EpochReport] = []
    for report in broken.epochs():
        first.append(report)
        if len(first) == stop_after:
            break
    broken.checkpoint(tmp_path / "checkpoint")
    resumed = make_run(dataset, spec, resume=tmp_path / "checkpoint")
    assert first + list(resumed.epochs()) == reports
    for name in ("skeleton", "fusion", "student"):
        assert equal_bits(weights(resumed, name), weights(unbroken, name))
    assert resumed.finish() == unbroken.finish()


def test_teachers_do_not_depend_on_the_student(dataset: Dataset, spec: JobSpec) -> None:
    """Another loss and another student leave the teachers' weights bit-equal, so comparisons are paired."""
    plain = make_run(dataset, spec)
    other = make_run(dataset, changed(spec, method__loss__beta=0.0, student__backbone__width=12))
    for run in (plain, other):
        list(run.epochs())
    for name in ("skeleton", "fusion"):
        assert equal_bits(weights(plain, name), weights(other, name))


def test_per_step_without_pull_trains_the_same_teachers(dataset: Dataset, spec: JobSpec) -> None:
    """The joint schedule shares the teachers' views, so only a pull toward the student changes their course."""
    plain = make_run(dataset, spec)
    joint = make_run(dataset, changed(spec, method__schedule={"kind": "per_step"}))
    pulled = make_run(dataset, changed(spec, method__schedule={"kind": "per_step", "pull": 1.0}))
    for run in (plain, joint, pulled):
        list(run.epochs())
    assert equal_bits(weights(plain, "fusion"), weights(joint, "fusion"))
    assert not equal_bits(weights(plain, "fusion"), weights(pulled, "fusion"))


def test_the_students_step_leaves_its_teachers_alone(dataset: Dataset, spec: JobSpec) -> None:
    """A student epoch changes no bit of a teacher, batch-norm statistics included."""
    run = make_run(dataset, spec)
    epochs = run.epochs()
    next(epochs)
    before = weights(run, "fusion")
    assert next(epochs).phase == "student"
    assert equal_bits(weights(run, "fusion"), before)


def test_seeds_differ_and_repeat(dataset: Dataset, spec: JobSpec) -> None:
    """The same seed gives the same bits, another seed does not."""
    runs = [make_run(dataset, spec, seed=seed) for seed in (0, 0, 1)]
    reports = [list(run.epochs()) for run in runs]
    assert reports[0] == reports[1]
    assert reports[0] != reports[2]


def test_a_non_finite_loss_names_network_term_and_step(dataset: Dataset, spec: JobSpec) -> None:
    """A loss that overflows ends the run with network, term and step instead of training on NaN."""
    run = make_run(dataset, changed(spec, method__loss__beta=1e38, method__loss__temperature=1e6))
    with pytest.raises(NonFiniteLossError) as caught:
        list(run.epochs())
    assert caught.value.network == "student"
    assert caught.value.term in {"mk", "total"}
    assert caught.value.step == run.state.steps > 0


def test_a_broken_sample_is_found_where_it_is_first_read(dataset: Dataset, spec: JobSpec) -> None:
    """NaN in the accelerometer shows in the fusion teacher's cross-entropy, and the skeleton's is not blamed."""
    run = make_run(dataset, spec)
    run.train_clips.streams["accelerometer"][0, 0, 0] = np.nan
    with pytest.raises(NonFiniteLossError) as caught:
        list(run.epochs())
    assert (caught.value.network, caught.value.term) == ("fusion", "ce")


def test_stopping_is_the_callers(dataset: Dataset, spec: JobSpec) -> None:
    """What `on_step` raises comes out of the loop at once."""

    class Stop(Exception):
        pass

    def stop(steps: int) -> None:
        if steps >= 3:
            raise Stop(steps)

    with pytest.raises(Stop):
        list(make_run(dataset, spec).epochs(stop))


def test_a_checkpoint_of_another_run_is_refused(dataset: Dataset, spec: JobSpec, tmp_path: Path) -> None:
    """A checkpoint is loaded by the seed, fold and spec that wrote it, and a damaged one by none."""
    run = make_run(dataset, spec)
    next(run.epochs())
    run.checkpoint(tmp_path / "checkpoint")
    with pytest.raises(CheckpointError, match="another configuration"):
        make_run(dataset, spec, seed=1, resume=tmp_path / "checkpoint")
    (tmp_path / "checkpoint" / "tensors.safetensors").write_bytes(b"\x08")
    with pytest.raises(CheckpointError, match="cannot be read"):
        make_run(dataset, spec, resume=tmp_path / "checkpoint")


def test_checkpoints_of_two_owners_share_no_file(dataset: Dataset, spec: JobSpec, tmp_path: Path) -> None:
    """The same training under two names has the same content and other bytes, and either may be resumed."""
    lasting = changed(spec, method__schedule={"kind": "checkpoints", "every": 1})
    run = make_run(dataset, lasting)
    next(run.epochs())
    for owner in ("run_a", "run_b"):
        run.checkpoint(tmp_path / owner, owner=owner)
    names = sorted(file.name for file in (tmp_path / "run_a").iterdir())
    assert len(names) == 3
    assert all((tmp_path / "run_a" / name).read_bytes() != (tmp_path / "run_b" / name).read_bytes() for name in names)
    one, other = (make_run(dataset, lasting, resume=tmp_path / owner) for owner in ("run_a", "run_b"))
    assert equal_bits(weights(one, "fusion"), weights(other, "fusion"))


def test_bf16_trains_close_to_fp32(dataset: Dataset, spec: JobSpec) -> None:
    """Mixed precision follows the same course within its rounding."""
    exact = list(make_run(dataset, spec).epochs())
    mixed = list(make_run(dataset, changed(spec, training__precision="bf16")).epochs())
    for one, other in zip(exact[:2], mixed[:2], strict=True):
        assert other.metrics == pytest.approx(one.metrics, rel=0.1, abs=0.1)


def test_mixed_samples_have_mixed_labels(dataset: Dataset, spec: JobSpec) -> None:
    """What trains on mixes learns the labels by their shares: the loss is that of both labels, weighed."""
    mixing = changed(spec, augment__mixup=0.5, training__label_smoothing=0.0)
    views = Views(
        make_run(dataset, mixing).train_clips,
        mixing,
        info=dataset.info,
        seed=0,
        device=torch.device("cpu"),
    )
    batch = next(views.batches("student", epoch=0))
    targets = batch.targets(6)
    assert targets is not None
    assert batch.share is not None
    assert batch.other is not None
    logits = torch.randn(len(batch.labels), 6, generator=torch.Generator().manual_seed(0))
    own, other = (cross_entropy(logits, labels) for labels in (batch.labels, batch.other))
    assert torch.allclose(cross_entropy(logits, targets), batch.share * own + (1 - batch.share) * other, atol=1e-6)
    assert torch.equal(targets.argmax(dim=1)[batch.share > 0.5], batch.labels[batch.share > 0.5])


def test_a_mix_changes_what_is_learned_and_resumes(dataset: Dataset, spec: JobSpec, tmp_path: Path) -> None:
    """Teachers and student train on mixes; a run that stops in between ends with the same bits."""
    mixing = changed(spec, augment__mixup=0.5)
    plain, unbroken, broken = (make_run(dataset, each) for each in (spec, mixing, mixing))
    assert next(plain.epochs()).metrics["fusion/ce"] != next(broken.epochs()).metrics["fusion/ce"]
    broken.checkpoint(tmp_path / "checkpoint")
    list(unbroken.epochs())
    resumed = make_run(dataset, mixing, resume=tmp_path / "checkpoint")
    list(resumed.epochs())
    assert equal_bits(weights(resumed, "student"), weights(unbroken, "student"))


def test_teachers_may_learn_from_views_of_their_own(dataset: Dataset, spec: JobSpec) -> None:
    """What they train on is augmented as told, what teaches the student as ever; without, both are as before."""
    still = {"sensor_rotation_deg": 0, "scale_sd": 0, "time_warp": 0, "time_crop": 0, "sensor_noise_sd": 0}
    still |= {"skeleton_rotation_deg": 0, "joint_noise_m": 0}
    own = changed(spec, augment_teachers=still)

    def views(of: JobSpec, phase: Any) -> torch.Tensor:
        run = make_run(dataset, of)
        made = Views(run.train_clips, of, info=dataset.info, seed=0, device=torch.device("cpu"))
        return torch.cat([batch.inputs["accelerometer"] for batch in made.batches(phase, epoch=0)])

    assert torch.equal(views(own, "student"), views(spec, "student"))
    assert not torch.equal(views(own, "teachers"), views(spec, "teachers"))
    clips = torch.from_numpy(make_run(dataset, own).train_clips.streams["accelerometer"]).flatten()
    assert torch.equal(views(own, "teachers").flatten().sort().values, clips.sort().values)


def test_one_view_cannot_be_augmented_twice(spec: JobSpec) -> None:
    """A joint step has one view; the refusal says what to leave out."""
    with pytest.raises(SpecError, match="leave augment_teachers out"):
        changed(spec, method__schedule={"kind": "per_step"}, augment_teachers={})


def test_views_of_their_own_count_where_there_are_teachers(spec: JobSpec) -> None:
    """A configuration keeps its row of the leaderboard, and without teachers nothing else is trained."""
    own = changed(spec, augment_teachers={"sensor_rotation_deg": 30})
    assert configuration_hash(own) != configuration_hash(spec)
    alone, also = (changed(each, method={"kind": "none"}) for each in (spec, own))
    assert configuration_hash(alone) == configuration_hash(also)
