"""Whatever the dataset and the choice of folds, no recording is on two sides of a fold."""

from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pskd_core.config import parse_spec
from pskd_core.data.columnar import DatasetInfo, NamedSplit, RecordingMeta, SkeletonInfo, StreamInfo
from pskd_core.data.splits import Fold, plan_folds
from pskd_core.errors import ProtocolError, SpecError

SUBJECTS = ("1", "2", "3", "10")
TRIALS = ("1", "2", "3", "4")
STREAMS = ("accelerometer", "skeleton")

INFO = DatasetInfo(
    name="drawn",
    layout="synthetic",
    classes=("sit", "stand"),
    streams={
        "accelerometer": StreamInfo(channels=3, unit="g", rate_hz=50),
        "skeleton": StreamInfo(channels=None, unit="m", rate_hz=30),
    },
    skeleton=SkeletonInfo(joints=("hip", "head"), bones=((1, 0),), centre=0),
    protocols={
        "cross_subject": NamedSplit(by="subject", train=("1", "3"), test=("2", "10")),
        "cross_trial": NamedSplit(by="trial", train=("1", "2"), test=("3", "4")),
    },
)

GRID = [
    RecordingMeta(
        id=f"a{label}_s{subject}_t{trial}", subject=subject, trial=trial, label=label, duration_s=3, streams={}
    )
    for subject in SUBJECTS
    for trial in TRIALS
    for label in (0, 1)
]


def carrying(meta: RecordingMeta, streams: set[str]) -> RecordingMeta:
    return meta.model_copy(update={"streams": dict.fromkeys(sorted(streams), (0, 1))})


@st.composite
def datasets(draw: st.DrawFn) -> list[RecordingMeta]:
    """Every subject, trial and class in any order, some recordings absent and some without one of their streams."""
    lost = st.dictionaries(st.integers(0, len(GRID) - 1), st.sampled_from([*STREAMS, "all"]), max_size=10)
    without = draw(lost)
    kept = {
        place: carrying(meta, set(STREAMS) - {without.get(place, "")})
        for place, meta in enumerate(GRID)
        if without.get(place) != "all"
    }
    return draw(st.permutations(list(kept.values())))


recordings = datasets()
protocols = st.sampled_from(
    [
        {"kind": "named", "name": "cross_subject"},
        {"kind": "named", "name": "cross_trial"},
        {"kind": "loso"},
        {"kind": "loso", "subjects": ["1", "2", "10"]},
        {"kind": "subjects", "train": ["1", "2"], "test": ["3"]},
    ]
)
validations = st.sampled_from([{"kind": "none"}, {"kind": "trials", "trials": ["1"]}, {"kind": "inner_loso"}])
methods = st.sampled_from([{"kind": "none"}, {"kind": "distill"}])


def planned(metas: list[RecordingMeta], **fields: Any) -> tuple[Fold, ...]:
    """Folds of a dataset that has what the choice needs; another dataset is drawn if not."""
    try:
        return plan_folds(parse_spec(fields), INFO, metas)
    except (ProtocolError, SpecError):
        assume(False)
        raise


@settings(deadline=None)
@given(recordings, protocols, validations, methods)
def test_parts_are_sorted_disjoint_and_usable(
    metas: list[RecordingMeta], protocol: dict[str, Any], validation: dict[str, Any], method: dict[str, Any]
) -> None:
    """Parts are sorted and share nothing, training covers all classes and teachers, the student can read every part."""
    folds = planned(metas, protocol=protocol, validation=validation, method=method)
    for fold in folds:
        parts = (fold.train, fold.validation, fold.test)
        together = [index for part in parts for index in part]
        assert len(set(together)) == len(together)
        assert all(list(part) == sorted(part) for part in parts)
        assert {metas[index].label for index in fold.train} == {0, 1}
        assert all("accelerometer" in metas[index].streams for index in together)
        taught = [index for index in fold.train if set(STREAMS) <= metas[index].streams.keys()]
        assert method["kind"] == "none" or len(taught) >= 2


@settings(deadline=None)
@given(recordings, protocols, validations)
def test_no_part_depends_on_teachers(
    metas: list[RecordingMeta], protocol: dict[str, Any], validation: dict[str, Any]
) -> None:
    """A job with teachers and one without learn from, validate on and test the same recordings."""
    taught = planned(metas, protocol=protocol, validation=validation, method={"kind": "distill"})

    assert taught == planned(metas, protocol=protocol, validation=validation, method={"kind": "none"})


@settings(deadline=None)
@given(recordings, validations, methods)
def test_no_subject_is_on_two_sides(
    metas: list[RecordingMeta], validation: dict[str, Any], method: dict[str, Any]
) -> None:
    """Under subject protocols a test subject neither trains nor validates; inner folds keep subjects apart too."""
    for fold in planned(metas, protocol={"kind": "loso"}, validation=validation, method=method):
        train, validate, test = (
            {metas[index].subject for index in part} for part in (fold.train, fold.validation, fold.test)
        )
        assert not test & (train | validate)
        if validation["kind"] == "inner_loso":
            assert not train & validate


@settings(deadline=None)
@given(
    recordings, protocols, validations, st.lists(st.sampled_from(["long", "longer", None]), min_size=32, max_size=32)
)
def test_no_recording_has_windows_on_two_sides(
    metas: list[RecordingMeta], protocol: dict[str, Any], validation: dict[str, Any], origins: list[str | None]
) -> None:
    """Windows cut before the split stay together, or the split is refused, and only then."""
    cut = [meta.model_copy(update={"cut_from": origin}) for meta, origin in zip(metas, origins, strict=False)]
    folds = planned(metas, protocol=protocol, validation=validation)
    parts = [(fold, part) for fold in folds for part in (fold.train, fold.validation, fold.test)]
    sides = [(fold.name, origin) for fold, part in parts for origin in {cut[index].cut_from for index in part} - {None}]
    if len(set(sides)) == len(sides):
        assert plan_folds(parse_spec({"protocol": protocol, "validation": validation}), INFO, cut) == folds
    else:
        with pytest.raises(ProtocolError, match="are windows of one recording"):
            plan_folds(parse_spec({"protocol": protocol, "validation": validation}), INFO, cut)


@settings(deadline=None)
@given(recordings, methods)
def test_inner_folds_cover_the_refit_exactly_once(metas: list[RecordingMeta], method: dict[str, Any]) -> None:
    """The validation parts of the inner folds together are the refit's training part, each recording once."""
    *inner, refit = planned(metas, validation={"kind": "inner_loso"}, method=method)
    assert refit.name == "refit"
    assert sorted(index for fold in inner for index in fold.validation) == list(refit.train)
    assert all(sorted(fold.train + fold.validation) == list(refit.train) and not fold.test for fold in inner)


@settings(deadline=None)
@given(recordings, protocols, validations)
def test_withholding_the_test_changes_nothing_else(
    metas: list[RecordingMeta], protocol: dict[str, Any], validation: dict[str, Any]
) -> None:
    """`test: none` empties the test part and drops the refit; training and validation parts stay the same."""
    assume(validation["kind"] != "none")
    reported = planned(metas, protocol=protocol, validation=validation)
    withheld = planned(metas, protocol=protocol, validation=validation, test="none")
    assert [(fold.name, fold.train, fold.validation) for fold in reported if fold.validation] == [
        (fold.name, fold.train, fold.validation) for fold in withheld
    ]
    assert not any(fold.test for fold in withheld)
