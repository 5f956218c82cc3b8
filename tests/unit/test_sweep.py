"""What a sweep may say, and which jobs its trials are."""

from collections import Counter
from typing import Any, Literal

import pytest

from pskd_core.config import JobSpec, configuration_hash, parse_spec, preset_names
from pskd_core.errors import SpecError
from pskd_core.experiments import experiment, row_specs
from pskd_core.sweep import (
    MOST_TRIALS,
    PRESETS,
    Sweep,
    first_points,
    in_sweep,
    parse_sweep,
    planned_points,
    trial_spec,
    winner_spec,
)

BASE = {"preset": "demo", "dataset": "utd", "validation": {"kind": "inner_loso"}, "seeds": [0, 1]}
ALPHA = {"method.loss.alpha": {"choices": [0, 0.5, 1]}}
UNTAUGHT = {"random-forest", "skeleton-alone"}  # recipes whose student no teacher can guide
TPE = {"kind": "tpe", "trials": 20}


def make(**fields: Any) -> Sweep:
    return parse_sweep({"base": BASE, "space": ALPHA, **fields})


def loss_of(spec: JobSpec) -> dict[str, Any]:
    loss: dict[str, Any] = spec.model_dump()["method"]["loss"]
    return loss


def test_a_grid_is_every_combination_in_order() -> None:
    """The last parameter turns fastest, and every combination comes once."""
    sweep = make(space={**ALPHA, "training.epochs": {"choices": [5, 10]}})
    points = [tuple(point.values()) for point in planned_points(sweep)]
    assert points == [(0, 5), (0, 10), (0.5, 5), (0.5, 10), (1, 5), (1, 10)]
    assert sweep.trials == 6


@pytest.mark.parametrize("name", ["a\x00b", "a\nb", "\x1b[31m", "\x85"])
def test_names_hold_no_control_characters(name: str) -> None:
    """Neither a job's nor a sweep's, after which its jobs are called; any other character may stand there."""
    for parse in (lambda: parse_spec({**BASE, "name": name}), lambda: make(name=name)):
        with pytest.raises(SpecError, match="control character") as refused:
            parse()
        (error,) = refused.value.errors
        assert error["pointer"] == "/name"
        assert error["detail"] == f"the control character U+{ord(min(name)):04X} stands in it; remove it"
    stored = parse_spec(BASE).model_dump(mode="json") | {"name": name}
    assert JobSpec.model_validate(stored).name == name  # jobs of before are still read
    assert make(name="größer, 大 😀").name == parse_spec({**BASE, "name": "größer, 大 😀"}).name


def test_a_trial_is_the_base_with_a_few_fields_changed() -> None:
    """Nothing but the parameters and the name differ, the test part is shut, and teachers are shared."""
    spec = trial_spec(make(name="weights"), 3, {"method.loss.alpha": 0.25})
    base = parse_spec(BASE)
    assert loss_of(spec)["alpha"] == 0.25
    assert (spec.name, spec.test, spec.resources.reuse_teachers) == ("weights trial 3", "none", True)
    as_base = {"name": "", "test": "report", "resources": base.resources, "method": base.method}
    assert spec.model_copy(update=as_base) == base


def test_the_winner_trains_on_everything_and_is_tested() -> None:
    """The spec to submit has the chosen values, no validation part to leave out, and its test part open."""
    spec = winner_spec(make(), {"method.loss.alpha": 0.25})
    assert (spec.test, spec.validation.kind, spec.seeds) == ("report", "none", (0, 1))
    chosen = {"method": {"loss": {"alpha": 0.25}}, "validation": {"kind": "none"}}
    assert configuration_hash(spec) == configuration_hash(parse_spec({**BASE, **chosen}))


def test_paths_lead_into_lists_and_may_be_pointers() -> None:
    """A JSON pointer and a dotted path mean the same, and a number is a place in a list."""
    space = {
        "/method/teachers/1/backbone/width": {"choices": [8]},
        "training.student.learning_rate": {"choices": [1e-3]},
    }
    sweep = make(space=space)
    assert list(sweep.space) == ["method.teachers.1.backbone.width", "training.student.learning_rate"]
    spec = trial_spec(sweep, 1, planned_points(sweep)[0])
    assert [each["backbone"]["width"] for each in spec.model_dump()["method"]["teachers"]] == [16, 8]
    assert spec.training.student.learning_rate == 1e-3


def test_another_kind_takes_its_own_defaults() -> None:
    """Where another kind is chosen, fields of the old kind go with it; an object of the same kind keeps the others."""
    sweep = make(space={"method.loss.kind": {"choices": ["st", "pskd"]}})
    st, pskd = (loss_of(trial_spec(sweep, 1, point)) for point in planned_points(sweep))
    assert (st["kind"], st["weight"], pskd["alpha"]) == ("st", 0.1, 0.1)
    objects = make(space={"method.loss": {"choices": [{"kind": "pskd", "gamma": 0}, {"kind": "st"}]}})
    pskd, st = (loss_of(trial_spec(objects, 1, point)) for point in planned_points(objects))
    assert (pskd["alpha"], pskd["gamma"], st["weight"]) == (0.1, 0.0, 0.1)


def test_an_object_and_one_of_its_fields_may_both_vary() -> None:
    """What an object says is kept where a later entry sets another field of it, and refused where one sets the same."""
    part = {"method.loss": {"choices": [{"kind": "pskd", "gamma": 0}]}}
    both = make(space={**part, **ALPHA})
    found = [loss_of(trial_spec(both, 1, point)) for point in planned_points(both)]
    assert [(loss["gamma"], loss["alpha"]) for loss in found] == [(0, 0), (0, 0.5), (0, 1)]
    with pytest.raises(SpecError, match="another entry") as refused:
        make(space={**part, "method.loss.gamma": {"choices": [1]}})
    assert refused.value.errors[0]["pointer"] == "/space/method.loss"


@pytest.mark.parametrize("log", [False, True])
def test_random_draws_stay_in_their_range_and_reach_its_ends(log: bool) -> None:
    """Whole numbers come as such, the ends as often as their share, and the same sweep draws the same again."""
    axis = {"low": 1, "high": 4, "integer": True, "log": log}
    sweep = make(space={"training.epochs": axis}, search={"kind": "random", "trials": MOST_TRIALS, "seed": 3})
    drawn = [point["training.epochs"] for point in planned_points(sweep)]
    count = Counter(drawn)
    assert set(count) == {1, 2, 3, 4}
    assert all(type(value) is int for value in drawn)
    assert (count[1] > 2 * count[4]) is log
    assert planned_points(sweep) == planned_points(Sweep.model_validate(sweep.model_dump(mode="json")))


def test_a_parameter_s_draws_do_not_depend_on_the_others() -> None:
    """Adding a parameter to a random sweep leaves what the first one draws as it was."""
    search = {"kind": "random", "trials": 5}
    rate = {"training.student.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}}
    alone, both = make(space=rate, search=search), make(space={**ALPHA, **rate}, search=search)
    values = [[point["training.student.learning_rate"] for point in planned_points(each)] for each in (alone, both)]
    assert values[0] == values[1]
    assert all(1e-4 <= value <= 1e-2 for value in values[0] if isinstance(value, float))


def test_proposals_are_checked_at_their_ends() -> None:
    """Nothing of a TPE sweep is planned, but each choice and each end of a range is tried as a spec beforehand."""
    sweep = make(space={**ALPHA, "training.epochs": {"low": 5, "high": 9, "integer": True}}, search=TPE)
    assert planned_points(sweep) == ()
    assert [tuple(point.values()) for point in first_points(sweep)] == [(0, 5), (0.5, 5), (1, 5), (0, 5), (0, 9)]


@pytest.mark.parametrize(
    ("fields", "pointer", "told"),
    [
        ({"base": {**BASE, "validation": {"kind": "none"}}}, "/base/validation", "inner_loso"),
        ({"base": {**BASE, "protocol": {"kind": "loso"}}}, "/base/protocol", "train: [...], test: [...]"),
        ({"base": {**BASE, "preset": "nobody"}}, "/base/preset", "demo"),
        ({"base": {**BASE, "training": {"epochs": 0}}}, "/base/training/epochs", "greater"),
        ({"preset": "nobody"}, "/preset", "table4"),
        ({"space": {}}, "/space", "at least 1"),
        ({"space": {"seeds": {"choices": [[1]]}}}, "/space/seeds", "share `seeds`"),
        ({"space": {"validation.subjects": {"choices": [["1"]]}}}, "/space/validation.subjects", "share `validation`"),
        ({"space": {"method.loss.alhpa": {"choices": [1]}}}, "/space/method.loss.alhpa", "/method/loss/alhpa"),
        ({"space": {"method.loss.alpha": {"choices": [1, -1]}}}, "/space/method.loss.alpha", "greater"),
        ({"space": {"method.loss.alpha": {"choices": [1, 1]}}}, "/space/method.loss.alpha", "twice"),
        ({"space": {"method.loss.alpha": {"choices": []}}}, "/space/method.loss.alpha/choices", "at least 1"),
        ({"space": {"method.teachers.2.name": {"choices": ["x"]}}}, "/space/method.teachers.2.name", "no field"),
        ({"space": {"name.first": {"choices": ["x"]}}}, "/space/name.first", "share `name`"),
        ({"space": {"feature_dim.x": {"choices": ["x"]}}}, "/space/feature_dim.x", "no field"),
        ({"space": {**ALPHA, "/method/loss/alpha": {"choices": [3]}}}, "/space", "twice"),
        ({"space": {**ALPHA, "method.loss.kind": {"choices": ["st"]}}}, "/space/method.loss.alpha", "`kind` first"),
        ({"space": {"method.loss.alpha": {"low": 0, "high": 1}}}, "/space/method.loss.alpha", "a grid takes `choices`"),
        ({"search": {"kind": "tpe", "trials": 0}}, "/search/trials", "greater"),
        ({"search": {"kind": "anneal"}}, "/search", "tpe"),
        ({"space": {**ALPHA, "training.epochs": {"choices": [*range(1, 87)]}}}, "/search", "258 trials"),
        ({"base": {**BASE, "seeds": [*range(40)]}, "space": {"feature_dim": {"choices": [*range(8, 264)]}}}, "/search",
         "10240 runs"),
        ({"metric": "loss"}, "/metric", "accuracy"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_pointed_at(fields: dict[str, Any], pointer: str, told: str) -> None:
    """Each fault of a sweep names its place in the sweep, also where only a trial's job shows it, and what would do."""
    with pytest.raises(SpecError) as refused:
        make(**fields)
    assert [fault["pointer"] for fault in refused.value.errors] == [pointer]
    assert told in refused.value.errors[0]["detail"]


@pytest.mark.parametrize(
    ("axis", "below", "told"),
    [
        ({"low": 5, "high": 5}, "", "less"),
        ({"low": 0, "high": 5, "log": True}, "", "more than 0"),
        ({"low": 1, "high": 2.5, "integer": True}, "", "whole"),
        ({"low": 0, "high": 2, "integer": True}, "", "greater"),
        ({"low": 1, "high": 2, "step": 1}, "/step", "not permitted"),
        ({"low": 1, "high": 1e300}, "/high", "less"),
        ({"low": 1}, "/high", "required"),
    ],
)
def test_a_wrong_range_is_pointed_at(axis: dict[str, Any], below: str, told: str) -> None:
    """A range must be one, hold what it says, and lie within what the field takes."""
    with pytest.raises(SpecError) as refused:
        make(space={"training.epochs": axis}, search=TPE)
    assert [fault["pointer"] for fault in refused.value.errors] == [f"/space/training.epochs{below}"]
    assert told in refused.value.errors[0]["detail"]


def test_a_fault_that_two_parameters_make_is_told_of_the_sweep() -> None:
    """A rule over several fields has no place of its own; the detail names the job's rule."""
    space = {"training.batch_size": {"choices": [32, 512]}, "method.loss.kind": {"choices": ["rkd"]}}
    with pytest.raises(SpecError, match="angle_weight") as refused:
        make(space=space)
    assert refused.value.errors[0]["pointer"] == "/space"


def test_faults_of_a_job_lead_to_the_base_or_the_space() -> None:
    """What a dataset refuses of a trial is found where the sweep says it."""
    faults = [{"pointer": pointer, "detail": "no"} for pointer in ("/student/inputs", "/protocol/name", "")]
    told = in_sweep(SpecError("no", errors=faults), {"student.inputs.0": "gyroscope"})
    assert [fault["pointer"] for fault in told.errors] == ["/space/student.inputs.0", "/base/protocol/name", "/space"]


@pytest.mark.parametrize(("preset", "trials"), [("alpha-beta-gamma", 48), ("figure5", 4), ("table4", 11)])
def test_presets_need_a_base_alone(preset: str, trials: int) -> None:
    """A recipe for sweeps has the size that the paper's table, figure or grid has, and all its trials differ."""
    sweep = parse_sweep({"preset": preset, "base": BASE})
    specs = [trial_spec(sweep, number, point) for number, point in enumerate(planned_points(sweep), start=1)]
    assert len({configuration_hash(spec) for spec in specs}) == sweep.trials == trials
    assert {spec.seeds for spec in specs} == {(0, 1)}


@pytest.mark.parametrize("name", ["table4", "figure5"])
@pytest.mark.parametrize("recipe", [each for each in preset_names() if each not in UNTAUGHT])
def test_a_sweep_and_an_experiment_of_one_name_run_the_same(name: Literal["table4", "figure5"], recipe: str) -> None:
    """With any recipe each trial is a row of the experiment, in its order; only `none` is nothing to choose among."""
    base = {**BASE, "preset": recipe}
    sweep = parse_sweep({"preset": name, "base": base})
    chosen = experiment(name, layout="utd_mhad")
    common = {field: value for field, value in base.items() if field != "preset"}
    rows = row_specs(chosen, preset=recipe, common=common)
    del rows["none"]
    trials = [trial_spec(sweep, number, point) for number, point in enumerate(planned_points(sweep), start=1)]
    own = {"name", "test", "resources"}  # by which a trial differs from any other job
    assert [trial.model_dump(exclude=own) for trial in trials] == [row.model_dump(exclude=own) for row in rows.values()]


def test_all_presets_are_tested() -> None:
    """A recipe that is added is added to the test above."""
    assert preset_names(PRESETS) == ["alpha-beta-gamma", "figure5", "table4"]
