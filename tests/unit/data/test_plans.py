"""Plans of many jobs on one dataset: the same as of each alone, and each made once."""

from collections.abc import Sequence
from typing import Any

import pytest

from pskd_core.config import JobSpec, parse_spec
from pskd_core.data.columnar import Dataset, RecordingMeta
from pskd_core.data.plans import planner, trial_planner, trial_planners
from pskd_core.data.splits import plan_folds
from pskd_core.errors import PskdError, SpecError
from pskd_core.sweep import Sweep, parse_sweep, planned_points, trial_spec
from tests.small import SMALL_SPEC, small_dataset

INNER = {"validation": {"kind": "inner_loso"}}
NO_TEACHERS = {"method": {"kind": "none"}}


class Read(Sequence[RecordingMeta]):
    """Recordings that count how often one of them is looked at."""

    def __init__(self, recordings: Sequence[RecordingMeta]) -> None:
        self._recordings, self.times = recordings, 0

    def __len__(self) -> int:
        return len(self._recordings)

    def __getitem__(self, index: Any) -> Any:
        self.times += 1
        return self._recordings[index]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return small_dataset(tmp_path_factory.mktemp("small") / "dataset")


def spec(**fields: Any) -> JobSpec:
    return parse_spec({**SMALL_SPEC, **fields})


def test_jobs_that_are_split_alike_are_planned_once(dataset: Dataset) -> None:
    """Other weights, names, seeds and epochs leave the recordings unread, and give the folds that each would alone."""
    recordings = Read(dataset.recordings)
    folds_of = planner(dataset.info, recordings)
    first = folds_of(spec(**INNER))
    read = recordings.times
    others = [
        spec(**INNER, name="other", seeds=[1, 2]),
        spec(**INNER, feature_dim=32, training={"epochs": 9}),
        spec(**INNER, method={**SMALL_SPEC["method"], "loss": {"kind": "st"}}),
    ]
    assert [folds_of(other) for other in others] == [first] * 3
    assert read == recordings.times > 0
    assert first == plan_folds(others[-1], dataset.info, dataset.recordings)


@pytest.mark.parametrize(
    "fields",
    [
        {"validation": {"kind": "trials", "trials": ["2"]}},
        {**INNER, "protocol": {"kind": "named", "name": "cross_trial"}},
        {**INNER, "test": "none"},
        {**INNER, **NO_TEACHERS, "student": {**SMALL_SPEC["student"], "inputs": ["skeleton"]}},
        {**INNER, "student": {**SMALL_SPEC["student"], "inputs": ["magnetometer"]}},
        {**INNER, "method": {"kind": "distill", "teachers": [{**SMALL_SPEC["method"]["teachers"][0], "name": "student",
                                                               "inputs": ["magnetometer"]}]}},
    ],
)  # fmt: skip
def test_what_splits_otherwise_is_planned_by_itself(dataset: Dataset, fields: dict[str, Any]) -> None:
    """Each field that a plan follows from has its own answer, or its own refusal, whatever was planned before."""
    folds_of = planner(dataset.info, dataset.recordings)
    folds_of(spec(**INNER))

    def outcome(planned: Any) -> Any:
        try:
            return planned()
        except PskdError as refused:
            return str(refused)

    alone = outcome(lambda: plan_folds(spec(**fields), dataset.info, dataset.recordings))
    assert outcome(lambda: folds_of(spec(**fields))) == alone


def test_what_is_refused_is_refused_again_without_planning(dataset: Dataset) -> None:
    """A refusal costs as much to find as a plan, so it is remembered too."""
    recordings = Read(dataset.recordings)
    folds_of = planner(dataset.info, recordings)
    wrong = spec(validation={"kind": "subjects", "subjects": ["4"]}, protocol={"kind": "subjects", "train": ["1", "2"]})
    told, read = [], []
    for _ in range(2):
        with pytest.raises(SpecError, match="is not in the training part") as refused:
            folds_of(wrong)
        told.append(refused.value.errors)
        read.append(recordings.times)
    assert told[0] == told[1]
    assert read[0] == read[1] > 0


def sweep(*inputs: list[str], **fields: Any) -> Sweep:
    base = {**SMALL_SPEC, **NO_TEACHERS, **INNER, "dataset": "made"}
    return parse_sweep({"base": base, "space": {"student.inputs": {"choices": inputs}}, **fields})


def lacking(dataset: Dataset, stream: str, trial: str) -> list[RecordingMeta]:
    """The recordings, of which one trial of each action lacks a stream."""
    return [
        meta.model_copy(update={"streams": {name: at for name, at in meta.streams.items() if name != stream}})
        if meta.trial == trial
        else meta
        for meta in dataset.recordings
    ]


def planned(dataset: Dataset, recordings: Sequence[RecordingMeta], swept: Sweep) -> list[object]:
    """Of each trial the number of validation recordings, or why it is refused."""
    folds_of = trial_planner(swept, planner(dataset.info, recordings))
    found = list[object]()
    for number, point in enumerate(planned_points(swept), start=1):
        try:
            found.append(sum(len(fold.validation) for fold in folds_of(trial_spec(swept, number, point))))
        except SpecError as refused:
            found.append(refused.errors[0])
    return found


def test_trials_are_judged_on_the_same_recordings(dataset: Dataset) -> None:
    """Inputs that fewer recordings have are refused with both numbers, while those that all have may vary."""
    swept = sweep(["accelerometer"], ["gyroscope"], ["gyroscope", "accelerometer"])
    assert planned(dataset, dataset.recordings, swept) == [24, 24, 24]
    some = lacking(dataset, "gyroscope", "2")
    first, *others = planned(dataset, some, swept)
    assert first == 24
    for other in others:
        assert isinstance(other, dict)
        assert other["pointer"] == "/student/inputs"
        assert "judged on 12 validation recordings" in other["detail"]
        assert "first point on 24" in other["detail"]


def test_as_many_but_other_recordings_are_refused(dataset: Dataset) -> None:
    """What counts is which recordings judge a trial, not how many."""
    some = lacking(dataset, "gyroscope", "2")
    exchanged = [
        meta.model_copy(update={"streams": {"gyroscope": (0, 1)}}) if meta.trial == "1" else meta for meta in some
    ]
    first, second = planned(dataset, exchanged, sweep(["accelerometer"], ["gyroscope"]))
    assert first == 12
    assert isinstance(second, dict)
    assert "not all of them the same" in second["detail"]


def test_a_first_point_that_fits_no_dataset_judges_nobody(dataset: Dataset) -> None:
    """Where the first point cannot be planned, the first that can sets the recordings, and each fault is its own."""
    wrong, *others = planned(dataset, dataset.recordings, sweep(["magnetometer"], ["accelerometer"], ["gyroscope"]))
    assert isinstance(wrong, dict)
    assert "no stream magnetometer" in wrong["detail"]
    assert others == [24, 24]


def test_each_dataset_is_opened_once(dataset: Dataset) -> None:
    """Planners stand by the name that their dataset is opened by."""
    opened: list[str] = []

    def open_(name: str) -> Dataset:
        opened.append(name)
        return dataset

    folds_on = trial_planners(sweep(["accelerometer"]), open_)
    assert folds_on("a") is folds_on("a")
    assert folds_on("a") is not folds_on("b")
    assert opened == ["a", "b"]
