"""Folds: the dataset's own protocols, leave-one-subject-out, validation choices, and what is refused."""

from typing import Any

import pytest

from pskd_core.config import JobSpec, parse_spec
from pskd_core.data import berkeley_mhad, mmact
from pskd_core.data.berkeley_skeletons import MARKERS, POSES
from pskd_core.data.body_graphs import COCO_17
from pskd_core.data.columnar import DatasetInfo, NamedSplit, RecordingMeta, SkeletonInfo, StreamInfo
from pskd_core.data.plans import planner
from pskd_core.data.splits import Fold, complete, natural_key, plan_folds
from pskd_core.errors import ProtocolError, SpecError

SUBJECTS = tuple(str(number) for number in range(1, 9))
TRIALS = ("1", "2", "3", "4")
CLASSES = 27
UTD_GAPS = {("1", 7, "4"), ("6", 22, "4"), ("8", 26, "4")}  # trials that UTD-MHAD does not have
BOTH = ("accelerometer", "skeleton")
CROSS_TRIAL = {"kind": "named", "name": "cross_trial"}


def info(classes: int = CLASSES) -> DatasetInfo:
    return DatasetInfo(
        name="utd",
        layout="utd_mhad",
        classes=tuple(f"class{number}" for number in range(classes)),
        streams={
            "accelerometer": StreamInfo(channels=3, unit="g", rate_hz=50),
            "skeleton": StreamInfo(channels=None, unit="m", rate_hz=30),
        },
        skeleton=SkeletonInfo(joints=("hip", "head"), bones=((1, 0),), centre=0),
        protocols={
            "cross_subject": NamedSplit(by="subject", train=("1", "3", "5", "7"), test=("2", "4", "6", "8")),
            "cross_trial": NamedSplit(by="trial", train=("1", "2"), test=("3", "4")),
        },
    )


def recording(subject: str, label: int, trial: str, streams: tuple[str, ...] = BOTH) -> RecordingMeta:
    return RecordingMeta(
        id=f"a{label + 1}_s{subject}_t{trial}",
        subject=subject,
        trial=trial,
        label=label,
        duration_s=3.6,
        streams=dict.fromkeys(streams, (0, 1)),
    )


def utd(subjects: tuple[str, ...] = SUBJECTS) -> list[RecordingMeta]:
    return [
        recording(subject, label, trial)
        for subject in subjects
        for label in range(CLASSES)
        for trial in TRIALS
        if (subject, label, trial) not in UTD_GAPS
    ]


def without_skeleton(*trials: str) -> list[RecordingMeta]:
    """UTD-MHAD whose skeleton is lost for these trials."""
    return [
        recording(meta.subject, meta.label, meta.trial, ("accelerometer",)) if meta.trial in trials else meta
        for meta in utd()
    ]


def spec(**fields: Any) -> JobSpec:
    return parse_spec(fields)


def plan(recordings: list[RecordingMeta] | None = None, **fields: Any) -> tuple[Fold, ...]:
    return plan_folds(spec(**fields), info(), utd() if recordings is None else recordings)


def sizes(folds: tuple[Fold, ...]) -> dict[str, tuple[int, int, int]]:
    return {fold.name: (len(fold.train), len(fold.validation), len(fold.test)) for fold in folds}


def values(recordings: list[RecordingMeta], indices: tuple[int, ...], by: str) -> set[str]:
    return {getattr(recordings[index], by) for index in indices}


def test_cross_subject_has_the_published_sizes() -> None:
    """UTD-MHAD cross-subject trains on 431 and tests on 430 recordings."""
    assert sizes(plan()) == {"all": (431, 0, 430)}


def test_cross_trial_has_the_published_sizes() -> None:
    """UTD-MHAD cross-trial trains on 432 and tests on 429 recordings, with all subjects in both."""
    (fold,) = plan(protocol=CROSS_TRIAL)
    assert sizes((fold,)) == {"all": (432, 0, 429)}
    assert values(utd(), fold.train, "subject") == values(utd(), fold.test, "subject") == set(SUBJECTS)


def test_loso_tests_every_subject_once() -> None:
    """One fold a subject; the test parts together are the whole dataset."""
    folds = plan(protocol={"kind": "loso"})
    assert [fold.name for fold in folds] == [f"loso:{subject}" for subject in SUBJECTS]
    assert sorted(index for fold in folds for index in fold.test) == list(range(861))
    assert all(values(utd(), fold.test, "subject") == {fold.name.removeprefix("loso:")} for fold in folds)


def test_loso_over_chosen_subjects_leaves_the_others_alone() -> None:
    """Subjects that are not listed neither train nor test, and the order of the list does not matter."""
    folds = plan(protocol={"kind": "loso", "subjects": [7, 1, 3, 5]})
    assert [fold.name for fold in folds] == ["loso:1", "loso:3", "loso:5", "loso:7"]
    assert all(
        values(utd(), fold.train + fold.test, "subject") == {"1", "3", "5", "7"}
        and len(fold.train) + len(fold.test) == 431
        for fold in folds
    )


def test_subject_lists_are_taken_as_they_are() -> None:
    """Explicit lists give one fold of those subjects."""
    (fold,) = plan(protocol={"kind": "subjects", "train": [2, 4], "test": [1]})
    assert values(utd(), fold.train, "subject") == {"2", "4"}
    assert values(utd(), fold.test, "subject") == {"1"}


def test_test_none_never_touches_the_test_part() -> None:
    """Without a test nothing of the test part is named, nor needs to be there."""
    fields = {"validation": {"kind": "subjects", "subjects": ["7"]}, "test": "none"}
    (fold,) = plan(utd(("1", "3", "5", "7")), **fields)
    assert fold.test == ()
    assert sizes((fold,)) == {"all": (323, 108, 0)}


def test_validation_trials_come_out_of_the_training_part() -> None:
    """Held-out trials validate, and only those of training subjects."""
    (fold,) = plan(validation={"kind": "trials", "trials": [4]})
    assert values(utd(), fold.validation, "trial") == {"4"}
    assert values(utd(), fold.validation, "subject") == {"1", "3", "5", "7"}
    assert sizes((fold,)) == {"all": (324, 107, 430)}


def test_inner_loso_validates_each_training_subject_then_refits() -> None:
    """Inner folds hold out each training subject and test nothing; the refit trains on all and alone has the test."""
    folds = plan(validation={"kind": "inner_loso"})
    assert sizes(folds) == {
        "inner:1": (324, 107, 0),
        "inner:3": (323, 108, 0),
        "inner:5": (323, 108, 0),
        "inner:7": (323, 108, 0),
        "refit": (431, 0, 430),
    }


def test_inner_loso_without_test_has_no_refit() -> None:
    """A recipe search runs the inner folds alone, on training subjects alone."""
    folds = plan(utd(("1", "3", "5", "7")), validation={"kind": "inner_loso"}, test="none")
    assert [fold.name for fold in folds] == ["inner:1", "inner:3", "inner:5", "inner:7"]


def test_inner_loso_of_a_trial_protocol_holds_out_the_last_training_trial() -> None:
    """For `cross_trial` trial 2 validates once, then the refit trains on trials 1 and 2."""
    folds = plan(protocol=CROSS_TRIAL, validation={"kind": "inner_loso"})
    assert sizes(folds) == {"inner:trial2": (216, 216, 0), "refit": (432, 0, 429)}
    assert values(utd(), folds[0].validation, "trial") == {"2"}


@pytest.mark.parametrize("by", ["session", "scene", "camera"])
def test_a_protocol_may_split_by_what_else_a_recording_says(by: str) -> None:
    """Sessions, scenes and cameras split as trials do; a recording that does not say its own is on neither side."""
    split = NamedSplit.model_validate({"by": by, "train": ["1", "2", "3"], "test": ["4"]})
    described = info().model_copy(update={"protocols": {f"cross_{by}": split}})
    stated = [meta.model_copy(update={by: meta.trial}) for meta in utd()]
    unstated = [recording("1", 0, "1")]
    asked = spec(protocol={"kind": "named", "name": f"cross_{by}"}, validation={"kind": "inner_loso"})
    folds = plan_folds(asked, described, [*stated, *unstated])
    assert sizes(folds) == {f"inner:{by}3": (432, 216, 0), "refit": (648, 0, 213)}
    assert len(stated) not in {index for fold in folds for index in fold.train + fold.validation + fold.test}


def test_windows_of_one_recording_are_not_parted() -> None:
    """A split that tests or validates on a window whose neighbour trains is refused, and both are named."""
    metas = utd()
    trial_2 = next(i for i, meta in enumerate(metas) if meta.id == "a1_s1_t2")
    metas[trial_2] = metas[trial_2].model_copy(update={"cut_from": "a1_s1_t3"})
    with pytest.raises(ProtocolError, match=r"fold all: a1_s1_t2 \(train\) and a1_s1_t3 \(test\) are windows"):
        plan(metas, protocol=CROSS_TRIAL)
    metas[trial_2] = metas[trial_2].model_copy(update={"cut_from": "a1_s1_t1"})
    with pytest.raises(ProtocolError, match=r"fold inner:trial2: a1_s1_t1 \(train\) and a1_s1_t2 \(validation\)"):
        plan(metas, protocol=CROSS_TRIAL, validation={"kind": "inner_loso"})
    assert sizes(plan(metas)) == sizes(plan())


def test_inner_folds_nest_in_loso() -> None:
    """Under `loso` each outer fold has its own inner folds, which never see the outer test subject."""
    folds = plan(protocol={"kind": "loso", "subjects": ["1", "2", "3"]}, validation={"kind": "inner_loso"})
    assert [fold.name for fold in folds[:3]] == ["loso:1/inner:2", "loso:1/inner:3", "loso:1/refit"]
    assert len(folds) == 9
    for fold in folds:
        held_out = fold.name.split("/")[0].removeprefix("loso:")
        assert held_out not in values(utd(), fold.train + fold.validation, "subject")


def test_subject_lists_without_test_validate_alone() -> None:
    """An empty test list is served by a validation part; with neither, nothing would be measured."""
    protocol = {"kind": "subjects", "train": ["1", "2"]}
    assert [fold.name for fold in plan(protocol=protocol, validation={"kind": "inner_loso"})] == ["inner:1", "inner:2"]
    with pytest.raises(SpecError, match="nothing would be measured") as refused:
        plan(protocol=protocol)
    assert refused.value.errors[0]["pointer"] == "/protocol/test"


def test_missing_subjects_are_named() -> None:
    """A dataset that holds the training subjects alone says which test subjects it lacks."""
    with pytest.raises(ProtocolError, match="subject 2, 4, 6, 8") as refused:
        plan(utd(("1", "3", "5", "7")))
    assert refused.value.missing == ("subject 2", "subject 4", "subject 6", "subject 8")


def test_missing_trials_are_named() -> None:
    """A trial protocol names the trials that nobody has."""
    with pytest.raises(ProtocolError) as refused:
        plan([meta for meta in utd() if meta.trial != "3"], protocol=CROSS_TRIAL)
    assert refused.value.missing == ("trial 3",)


def test_untrained_classes_are_named() -> None:
    """A class that only the test part has is refused, and named."""
    recordings = [meta for meta in utd() if meta.label != 4 or meta.subject in {"2", "4"}]
    with pytest.raises(ProtocolError, match="class class4") as refused:
        plan(recordings)
    assert refused.value.missing == ("class class4",)


def test_untrained_classes_of_inner_folds_are_refused() -> None:
    """A class that one subject alone performs cannot be validated on that subject."""
    recordings = [meta for meta in utd() if meta.label != 4 or meta.subject in {"2", "3"}]
    assert len(plan(recordings)) == 1
    with pytest.raises(ProtocolError, match="inner:3 has no training recording of class class4"):
        plan(recordings, validation={"kind": "inner_loso"})


@pytest.mark.parametrize(
    ("validation", "pointer"),
    [
        ({"kind": "subjects", "subjects": ["3", "2"]}, "/validation/subjects"),
        ({"kind": "subjects", "subjects": ["99"]}, "/validation/subjects"),
        ({"kind": "trials", "trials": ["5"]}, "/validation/trials"),
    ],
)
def test_validation_outside_the_training_part_is_refused(validation: dict[str, Any], pointer: str) -> None:
    """What validates must come out of the training part; a test subject is refused with a pointer to the field."""
    with pytest.raises(SpecError, match="not in the training part") as refused:
        plan(validation=validation)
    assert refused.value.errors[0]["pointer"] == pointer


def test_validating_on_everything_is_refused() -> None:
    """A validation choice that leaves nothing to train on is an error, not an empty run."""
    with pytest.raises(ProtocolError, match="no recording to train on"):
        plan(validation={"kind": "subjects", "subjects": ["1", "3", "5", "7"]})


def test_loso_of_one_subject_is_refused() -> None:
    """Leave-one-subject-out needs somebody to train on."""
    with pytest.raises(ProtocolError, match="two subjects"):
        plan(utd(("1",)), protocol={"kind": "loso"})


def test_a_split_that_overlaps_is_refused() -> None:
    """A dataset's own split may not test on what it trains on."""
    overlapping = info().model_copy(
        update={"protocols": {"cross_subject": NamedSplit(by="subject", train=("1", "2"), test=("2",))}}
    )
    with pytest.raises(ProtocolError, match="subject 2 would both train and test"):
        plan_folds(spec(), overlapping, utd())


def test_unknown_protocol_lists_what_there_is() -> None:
    """The message names the dataset's protocols."""
    with pytest.raises(SpecError, match="cross_subject, cross_trial") as refused:
        plan(protocol={"kind": "named", "name": "cross_view"})
    assert refused.value.errors[0]["pointer"] == "/protocol/name"


def test_unknown_streams_point_at_the_network() -> None:
    """A network that reads a stream the dataset lacks is named by its place in the spec."""
    student = {"inputs": ["gyroscope"], "backbone": {"kind": "resnet1d"}}
    with pytest.raises(SpecError, match="no stream gyroscope") as refused:
        plan(student=student)
    assert refused.value.errors[0]["pointer"] == "/student/inputs"
    teacher = {"name": "worn", "inputs": ["accelerometer", "barometer"], "backbone": {"kind": "resnet1d"}}
    with pytest.raises(SpecError, match="no stream barometer") as refused:
        plan(method={"kind": "distill", "teachers": [teacher]})
    assert refused.value.errors[0]["pointer"] == "/method/teachers/0/inputs"


def test_no_part_depends_on_teachers() -> None:
    """Recordings without skeleton train, validate and test the student whether or not it has teachers."""
    validation = {"kind": "subjects", "subjects": ["7"]}
    (distilled,) = plan(without_skeleton("4"), validation=validation)
    (alone,) = plan(without_skeleton("4"), validation=validation, method={"kind": "none"})
    assert distilled == alone
    assert len(alone.train + alone.validation) == 431
    assert len(complete(without_skeleton("4"), alone.train, BOTH)) == 243


def test_a_teacher_without_recordings_is_named() -> None:
    """A teacher needs two training recordings that have its streams; the student would need none of them."""
    with pytest.raises(ProtocolError, match="skeleton needs at least 2 training recordings") as refused:
        plan(without_skeleton("1", "2", "3", "4"))
    assert refused.value.missing == ("stream skeleton",)


def test_recordings_without_the_students_stream_are_nowhere() -> None:
    """A recording that the student cannot read is in no part."""
    deaf = [
        recording(meta.subject, meta.label, meta.trial, ("skeleton",)) if meta.trial == "4" else meta for meta in utd()
    ]
    (fold,) = plan(deaf)
    assert "4" not in values(deaf, fold.train + fold.test, "trial")


def test_subjects_sort_as_people_count() -> None:
    """Subject 2 comes before subject 10, with or without letters around the number."""
    assert sorted(["10", "2", "1"], key=natural_key) == ["1", "2", "10"]
    assert sorted(["s10b", "s2", "a", "s10a"], key=natural_key) == ["a", "s2", "s10a", "s10b"]


WORN = dict(berkeley_mhad._PLACES.values())
OF_MMACT = {name: stream.worn_at for name, stream in mmact._SENSORS.values()}
BVH = SkeletonInfo(joints=("Hips", "LeftForeArm", "LeftHand"), bones=((1, 0), (2, 1)), centre=0)


@pytest.mark.parametrize(
    ("skeleton", "places", "sensor", "told"),
    [
        (COCO_17, OF_MMACT, "accelerometer", "the dataset says wrist"),  # of which arm nobody says
        (COCO_17, OF_MMACT, "accelerometer_phone", "the dataset says pocket"),
        (MARKERS, WORN, "accelerometer", "the dataset says left_wrist"),
        (BVH, WORN, "accelerometer", "the dataset says left_wrist"),
        (COCO_17, {"accelerometer": None}, "accelerometer", "the dataset says nothing"),
        (POSES, WORN, "accelerometer", None),
    ],
)
def test_a_sensor_is_a_node_where_its_joint_is_known(
    skeleton: SkeletonInfo, places: dict[str, str | None], sensor: str, told: str | None
) -> None:
    """Fusion `node` is refused at the submit where no joint bears the sensor; a node of the centre never is."""
    sensors = {name: StreamInfo(channels=3, unit="g", rate_hz=50, worn_at=place) for name, place in places.items()}
    streams = {**sensors, "skeleton": StreamInfo(channels=None, unit="m", rate_hz=30)}
    described = info(2).model_copy(update={"streams": streams, "skeleton": skeleton})
    metas = [recording(subject, label, "1", tuple(streams)) for subject in SUBJECTS for label in (0, 1)]
    folds_of = planner(described, metas)

    def fused(fusion: str) -> JobSpec:
        backbone = {"kind": "agcn", "width": 4, "depth": 3, "fusion": fusion}
        teacher = {"name": "fusion", "inputs": ["skeleton", sensor], "backbone": backbone}
        return parse_spec({"preset": "demo", "method": {"kind": "distill", "teachers": [teacher]}})

    assert len(folds_of(fused("node_center"))) == 1
    if told is None:
        assert len(folds_of(fused("node"))) == 1
        return
    with pytest.raises(SpecError, match=f"ties {sensor} .*{told}.*`node_center`") as refused:
        folds_of(fused("node"))
    assert refused.value.errors[0]["pointer"] == "/method/teachers/0/backbone/fusion"
