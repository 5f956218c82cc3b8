"""The made dataset: repeatable, physically of one piece, and learnable."""

import numpy as np
import pytest
from pydantic import ValidationError

from pskd_core.data.body import GRAVITY, Array, move_body, worn_sensor
from pskd_core.data.columnar import Recording
from pskd_core.data.preprocess import stretch
from pskd_core.data.synthetic import FINE_RATE_HZ, GESTURES, SyntheticSource, _person, _postures, generate
from pskd_core.data.utd_mhad import KINECT_SKELETON
from pskd_core.seed import generator
from pskd_core.shapes import FloatArray

WRIST = KINECT_SKELETON.joints.index("right_wrist")
SMALL = SyntheticSource(subjects=2, trials=2, classes=3)


def recordings(source: SyntheticSource) -> dict[str, Recording]:
    return {recording.id: recording for recording in generate(source)[1]}


def movement(action: int) -> tuple[Array, Array]:
    """Joints and forearm of one trial on the fine grid, before any noise."""
    draw = [generator(3, name) for name in ("style", "trial")]
    right, left = _postures(GESTURES[action], _person(3, 1), *draw)
    return move_body(right, left, height_m=1.7)


def test_a_recipe_gives_the_same_bits_again() -> None:
    """Equal recipes give equal recordings; another seed gives other people."""
    first, again = recordings(SMALL), recordings(SMALL)
    other = recordings(SMALL.model_copy(update={"seed": 1}))
    for name, recording in first.items():
        for stream in recording.streams:
            assert np.array_equal(recording.streams[stream].values, again[name].streams[stream].values)
    assert (
        first["a1_s1_t1"].streams["accelerometer"].values[0, 0]
        != other["a1_s1_t1"].streams["accelerometer"].values[0, 0]
    )


def test_a_larger_recipe_holds_the_smaller_one() -> None:
    """Adding subjects, trials or classes changes no recording that was there."""
    larger = recordings(SyntheticSource(subjects=3, trials=3, classes=4))
    for name, recording in recordings(SMALL).items():
        for stream in recording.streams:
            assert np.array_equal(recording.streams[stream].values, larger[name].streams[stream].values)


def test_every_recording_is_whole() -> None:
    """Each subject, trial and class once; three streams of one duration; finite values of a person's size."""
    info, _ = generate(SMALL)
    made = recordings(SMALL)
    assert len(made) == 12
    for recording in made.values():
        assert recording.id == f"a{recording.label + 1}_s{recording.subject}_t{recording.trial}"
        durations = {name: stream.duration_s for name, stream in recording.streams.items()}
        assert durations == pytest.approx(dict.fromkeys(info.streams, durations["skeleton"]), abs=1e-12)
        assert 1 < durations["skeleton"] < 10
        for name, stream in recording.streams.items():
            assert stream.values.dtype == np.float32
            assert stream.values.shape[1:] == info.item_shape(name)
            assert np.isfinite(stream.values).all()
        assert np.abs(recording.streams["accelerometer"].values).max() < 8


def test_protocols_split_odd_and_even_subjects_and_first_and_last_trials() -> None:
    """Both named protocols use everybody once."""
    info, _ = generate(SyntheticSource(subjects=5, trials=4))
    subjects, trials = info.protocols["cross_subject"], info.protocols["cross_trial"]
    assert (subjects.train, subjects.test) == (("1", "3", "5"), ("2", "4"))
    assert (trials.train, trials.test) == (("1", "2"), ("3", "4"))


@pytest.mark.parametrize("action", range(len(GESTURES)), ids=[gesture.name for gesture in GESTURES])
def test_integrating_the_accelerometer_gives_the_wrists_path(action: int) -> None:
    """Turned into the world, freed of gravity and summed twice, the samples lead along the wrist joint within 1 mm."""
    joints, forearm = movement(action)
    wrist = joints[:, WRIST]
    force_g, _ = worn_sensor(wrist, forearm, rate_hz=FINE_RATE_HZ)
    acceleration = ((forearm[1:-1] @ force_g[:, :, None])[:, :, 0] - [0, 1, 0]) * GRAVITY
    velocity = (wrist[1] - wrist[0]) * FINE_RATE_HZ + np.cumsum(acceleration, axis=0) / FINE_RATE_HZ
    path = wrist[1] + np.cumsum(velocity, axis=0) / FINE_RATE_HZ
    assert np.abs(path - wrist[2:]).max() < 1e-3
    assert np.ptp(wrist, axis=0).max() > 0.2


@pytest.mark.parametrize("action", range(len(GESTURES)), ids=[gesture.name for gesture in GESTURES])
def test_integrating_the_gyroscope_gives_the_forearms_turning(action: int) -> None:
    """Turning by the measured rates, step by step, follows the forearm within two degrees."""
    joints, forearm = movement(action)
    _, turning_dps = worn_sensor(joints[:, WRIST], forearm, rate_hz=FINE_RATE_HZ)
    turned = forearm[1]
    for rate in np.radians(turning_dps[:-1] + turning_dps[1:]) / 2 / FINE_RATE_HZ:
        angle = float(np.linalg.norm(rate))
        x, y, z = rate / max(angle, 1e-12)
        cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
        turned = turned @ (np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross)
    between = np.degrees(np.arccos(np.clip((np.trace(turned.T @ forearm[-2]) - 1) / 2, -1, 1)))
    assert between < 2


def test_the_recorded_skeleton_and_sensor_belong_together() -> None:
    """The smoothed wrist's second derivative plus gravity, from the noisy frames, follows the noisy accelerometer."""
    correlations = []
    for recording in recordings(SyntheticSource(subjects=2, trials=2, classes=12)).values():
        joints, sensor = recording.streams["skeleton"].values, recording.streams["accelerometer"].values
        from_skeleton = np.linalg.norm(_second_derivative(joints[:, WRIST]) / GRAVITY + [0, 1, 0], axis=1)
        from_sensor = np.linalg.norm(_smooth(stretch(sensor, len(joints))), axis=1)
        correlations.append(np.corrcoef(from_skeleton[4:-4], from_sensor[4:-4])[0, 1])
    assert np.median(correlations) > 0.8


def _smooth(values: Array | FloatArray) -> Array:
    window = np.hanning(9) / np.hanning(9).sum()
    return np.stack([np.convolve(column, window, "same") for column in values.T], axis=1)


def _second_derivative(path: FloatArray) -> Array:
    return np.gradient(np.gradient(_smooth(path), axis=0), axis=0) * 30**2


def test_classes_can_be_learnt_across_subjects_but_not_for_nothing() -> None:
    """The nearest training clip of other people names the class far above chance, and not always."""
    source = SyntheticSource()
    made = list(recordings(source).values())
    labels = np.array([recording.label for recording in made])
    odd = np.array([int(recording.subject) % 2 == 1 for recording in made])
    clips = np.stack([stretch(recording.streams["accelerometer"].values, 32).ravel() for recording in made])
    distances = np.linalg.norm(clips[~odd][:, None] - clips[odd][None], axis=2)
    accuracy = (labels[odd][distances.argmin(axis=1)] == labels[~odd]).mean()
    assert 0.5 < accuracy < 0.98


@pytest.mark.parametrize(
    "fields",
    [{"subjects": 1}, {"trials": 1}, {"classes": 1}, {"classes": len(GESTURES) + 1}, {"seed": -1}, {"noise": 1}],
)
def test_a_recipe_that_cannot_be_made_is_refused(fields: dict[str, int]) -> None:
    """A split needs two of each, there are twelve gestures, and unknown fields are not ignored."""
    with pytest.raises(ValidationError):
        SyntheticSource.model_validate(fields)
