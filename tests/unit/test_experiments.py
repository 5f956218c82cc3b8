"""The paper's experiments as data, and its systems as presets that train."""

from itertools import product
from typing import get_args

import pytest

from pskd_core.config import Distill, JobSpec, configuration_hash, load_preset, preset_names
from pskd_core.data.columnar import Dataset
from pskd_core.data.splits import plan_folds
from pskd_core.distillation import FrozenTeachers, Progressive, PskdLoss
from pskd_core.errors import SpecError
from pskd_core.experiments import (
    ExperimentName,
    default_preset,
    experiment,
    parse_seeds,
    protocol_fields,
    row_specs,
)
from pskd_core.published import published_rows
from pskd_core.run import Run
from tests.small import LAYOUTS, layout_dataset

NAMES = get_args(ExperimentName)
# Small enough for one epoch in a moment; what a system is, stays.
BRIEF = (
    "training.epochs=1",
    "training.batch_size=16",
    "preprocess.skeleton_frames=16",
    "preprocess.sensor_frames=32",
)


def specs_of(name: ExperimentName, layout: str = "utd_mhad", *settings: str) -> dict[str, JobSpec]:
    return row_specs(experiment(name, layout=layout), preset="demo", common={"seeds": [0, 1]}, settings=settings)


@pytest.mark.parametrize(("name", "layout"), list(product(NAMES, [*LAYOUTS, "synthetic", "manifest"])))
def test_every_row_is_a_valid_spec(name: ExperimentName, layout: str) -> None:
    """Whatever the dataset, rows have keys of their own, the reference runs, and each spec has the common fields."""
    chosen = experiment(name, layout=layout)
    keys = [row.key for row in chosen.rows]
    assert len(set(keys)) == len(keys)
    specs = specs_of(name, layout)
    assert {chosen.reference, "none"} <= specs.keys()
    assert specs.keys() == {row.key for row in chosen.rows if row.fields is not None}
    assert {spec.seeds for spec in specs.values()} == {(0, 1)}


def test_table_4_differs_in_the_loss_alone() -> None:
    """Every rival meets the same teachers, schedule, student and training as ACS, so the rows are paired."""
    specs = specs_of("table4")
    none, reference = specs.pop("none"), specs["acs"]
    assert none.model_copy(update={"method": reference.method}) == reference
    assert isinstance(reference.method, Distill)
    for spec in specs.values():
        assert isinstance(spec.method, Distill)
        same_loss = spec.method.model_copy(update={"loss": reference.method.loss})
        assert spec.model_copy(update={"method": same_loss}) == reference
    assert len({configuration_hash(spec) for spec in specs.values()}) == len(specs) == 11


def test_ablations_switch_off_what_they_name() -> None:
    """AC has no γ, S no β, ST neither; α stays as the recipe has it."""
    found = {}
    for key, spec in specs_of("table4").items():
        if isinstance(spec.method, Distill) and isinstance(spec.method.loss, PskdLoss):
            found[key] = (spec.method.loss.alpha, spec.method.loss.beta, spec.method.loss.gamma)
    assert found == {
        "acs": (0.1, 0.1, 0.1),
        "ac": (0.1, 0.1, 0.0),
        "s": (0.1, 0.0, 0.1),
        "acs_without_both": (0.1, 0.0, 0.0),
    }


def test_either_teacher_may_guide_alone() -> None:
    """One of the recipe's teachers, as the recipe has it, and all else of ACS; a recipe without it has no such row."""
    specs = specs_of("ablation")
    reference = specs["acs"].method
    assert isinstance(reference, Distill)
    for key, teacher in (("sk_only", "skeleton"), ("fu_only", "fusion")):
        method = specs[key].method
        assert isinstance(method, Distill)
        assert method.teachers == tuple(each for each in reference.teachers if each.name == teacher)
        assert len(method.teachers) == 1
        assert specs[key].model_copy(update={"method": reference}) == specs["acs"]
        assert method.model_copy(update={"teachers": reference.teachers}) == reference
    chosen = experiment("ablation", layout="berkeley_mhad")
    of_sensors = row_specs(chosen, preset="berkeley-headline", common={"seeds": [0]})
    assert "acs" in of_sensors
    assert not {"sk_only", "fu_only"} & of_sensors.keys()


def test_figure_5_differs_in_the_schedule_alone() -> None:
    """PSKD(1), (2), (3) and the student baseline have one loss and as many epochs."""
    specs = specs_of("figure5")
    schedules = {key: spec.method.schedule for key, spec in specs.items() if isinstance(spec.method, Distill)}
    rounds = {f"progressive_{n}": Progressive(epochs_per_round=n) for n in (1, 2, 3)}
    assert schedules == {**rounds, "frozen": FrozenTeachers()}
    assert {spec.training for spec in specs.values()} == {specs["none"].training}


def test_published_figures_stand_beside_their_own_system() -> None:
    """Each row of Table 4 meets the figures of its loss, on the dataset that they were measured on and nowhere else."""
    rows = {row.key: row.published for row in experiment("table4", layout="utd_mhad").rows}
    printed = {key: (row.method, row.accuracy) for key, row in rows.items() if row is not None}
    assert printed == {
        "logits": ("Logits", 0.9387), "fitnet": ("Fitnet", 0.9403), "st": ("ST", 0.9434), "at": ("AT", 0.9427),
        "rkd": ("RKD", 0.9503), "sp": ("SP", 0.9406), "cc": ("CC", 0.9412), "acs": ("ACS", 0.9519),
        "ac": ("AC (without S)", 0.9451), "s": ("S (without AC)", 0.9482), "acs_without_both": ("ST", 0.9434),
    }  # fmt: skip
    assert {row.published for row in experiment("table4", layout="synthetic").rows} == {None}
    ours = {layout: experiment("headline", layout=layout).rows[0].published for layout in LAYOUTS}
    assert {row.method for row in ours.values() if row} == {"PSKD"}


def test_every_published_system_runs_or_says_why_not() -> None:
    """All rows of Tables 1 to 3 are there; those with something that runs in their place have a recipe, others none."""
    for layout in LAYOUTS:
        rows = [row for row in experiment("baselines", layout=layout).rows if row.published is not None]
        printed = [row for row in published_rows() if row.layout == layout and row.table in {"1", "2", "3"}]
        assert {row.published.id for row in rows if row.published} == {row.id for row in printed}
        for row in rows:
            assert row.published is not None
            assert (row.fields is None) == (row.published.runs_here == "no")
            assert ("published only" in row.remark) == (row.fields is None)


def test_settings_reach_all_rows_or_one() -> None:
    """A setting for one row leaves the others alone, and the last of several wins."""
    specs = specs_of("table4", "utd_mhad", "training.epochs=9", "sp:method.loss.weight=30", "sp:training.epochs=7")
    assert specs["acs"].training.epochs == 9
    assert specs["sp"].training.epochs == 7
    weights = {key: spec.method.loss for key, spec in specs.items() if isinstance(spec.method, Distill)}
    assert weights["sp"].model_dump()["weight"] == 30
    assert weights["at"].model_dump()["weight"] == 1000


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("xy:training.epochs=7", "table4 has no row 'xy'; it has acs, ac, "),
        ("training.epochs", "write path=value"),
        ("sp:method.loss.beta=1", "row sp: /method/loss/beta"),
        ("training.epochs={", "not YAML"),
        ("validation.kind=inner_loso", "validation.kind=inner_loso: validation cannot be set.*--protocol inner_loso"),
        ("test=none", "test cannot be set"),
        ("sp:validation={kind: trials, fraction: 0.2}", "validation cannot be set"),
    ],
)
def test_a_wrong_setting_is_named(setting: str, told: str) -> None:
    """The message holds the row and the field, also of settings that would leave every run without test figures."""
    with pytest.raises(SpecError, match=told):
        specs_of("table4", "utd_mhad", setting)


def test_seeds_are_counted_or_listed() -> None:
    """`3` counts, commas list, and a comma behind one number makes it a list."""
    assert parse_seeds("3") == [0, 1, 2]
    assert parse_seeds("4,7") == [4, 7]
    assert parse_seeds("5,") == [5]


def test_protocols_by_name() -> None:
    """`inner_loso` leaves out training subjects; subjects alone mean it; a named split takes none."""
    assert protocol_fields(None, [], list) == {"kind": "named", "name": "cross_subject"}
    assert protocol_fields("loso", [], list) == {"kind": "loso", "subjects": None}
    assert protocol_fields("inner_loso", [], lambda: ["1", "3"]) == {"kind": "loso", "subjects": ["1", "3"]}
    assert protocol_fields(None, ["5", "7"], list) == {"kind": "loso", "subjects": ["5", "7"]}
    with pytest.raises(SpecError, match="cross_trial has subjects of its own"):
        protocol_fields("cross_trial", ["5"], list)


def test_the_default_recipe_exists() -> None:
    """Whatever the layout, the preset that is taken without being asked for can be loaded."""
    for layout in (*LAYOUTS, "synthetic"):
        assert load_preset(default_preset(layout))


# Each layout with the rows that have a recipe of their own, each recipe once.
SYSTEMS = [
    (layout, key)
    for layout in LAYOUTS
    for key in {
        row.preset: row.key for row in experiment("baselines", layout=layout).rows if row.preset is not None
    }.values()
]


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Dataset]:
    return {layout: layout_dataset(tmp_path_factory.mktemp(layout), layout) for layout in LAYOUTS}


@pytest.mark.parametrize(("layout", "key"), SYSTEMS)
def test_a_system_of_the_tables_trains_on_its_dataset(datasets: dict[str, Dataset], layout: str, key: str) -> None:
    """Its recipe names streams that the dataset's reader gives, trains an epoch and is tested."""
    dataset, spec = datasets[layout], specs_of("baselines", layout, *BRIEF)[key]
    (fold,) = plan_folds(spec, dataset.info, dataset.recordings)
    run = Run(dataset, spec, fold, 0)
    assert len(list(run.epochs())) == run.total_epochs
    outcome = run.finish()
    assert outcome.test is not None
    assert outcome.test.n == len(fold.test)


@pytest.mark.parametrize("preset", preset_names())
def test_a_preset_names_its_recipe_alone(preset: str) -> None:
    """The same recipe runs on any dataset, split and seeds: none is part of it, nor what stays shut."""
    assert not {"dataset", "protocol", "validation", "test", "seeds", "resources", "name"} & set(load_preset(preset))
