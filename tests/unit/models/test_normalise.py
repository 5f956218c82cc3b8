"""The first layer of every network."""

import numpy as np
import pytest
import torch

from pskd_core.data.batches import ChannelStatistics
from pskd_core.models.normalise import Normalise

STATISTICS = {
    "accelerometer": ChannelStatistics(np.array([0, 1, -2], np.float32), np.array([1, 2, 0.5], np.float32)),
    "skeleton": ChannelStatistics(np.zeros(3, np.float32), np.full(3, 4, np.float32)),
}


def test_each_channel_is_normalised() -> None:
    """(x − mean) / sd, channel by channel, whatever axes follow."""
    normalise = Normalise({"accelerometer": 3, "skeleton": 3})
    normalise.set(STATISTICS)

    normal = normalise({"accelerometer": torch.ones(2, 3, 5), "skeleton": torch.ones(2, 3, 5, 4)})

    assert normal["accelerometer"][1, :, 4].tolist() == [1, 0, 6]
    assert torch.equal(normal["skeleton"], torch.full((2, 3, 5, 4), 0.25))


def test_who_is_not_there_stays_zero() -> None:
    """Of two persons the absent one is 0 in that clip alone; one who is there is shifted even at 0."""
    normalise = Normalise({"skeleton": 3})
    normalise.set({"skeleton": ChannelStatistics(np.full(3, 2, np.float32), np.full(3, 4, np.float32))})
    bodies = torch.ones(2, 3, 5, 4, 2)
    bodies[0, ..., 1] = 0
    bodies[1, :, 0, 0, 1] = 0

    normal = normalise({"skeleton": bodies})["skeleton"]

    assert not normal[0, ..., 1].any()
    assert normal[1, :, 0, 0, 1].tolist() == [-0.5] * 3
    assert torch.equal(normal[..., 0], torch.full((2, 3, 5, 4), -0.25))


def test_fresh_constants_change_nothing() -> None:
    """Before the training part is known, values pass through."""
    values = torch.randn(2, 3, 5)

    assert torch.equal(Normalise({"accelerometer": 3})({"accelerometer": values})["accelerometer"], values)


def test_other_streams_are_left_out() -> None:
    """A network takes its own streams from a batch that serves several networks."""
    normalise = Normalise({"accelerometer": 3})
    normalise.set(STATISTICS)

    assert set(normalise({"accelerometer": torch.ones(1, 3, 2), "skeleton": torch.ones(1, 3, 2, 2)})) == {
        "accelerometer"
    }


def test_magnitude_is_the_length_of_the_raw_vector() -> None:
    """The fourth channel is |g| before normalisation, centred on its root mean square."""
    rng = np.random.default_rng(0)
    raw = (rng.normal(size=(500, 3, 8)) * [[1], [0.5], [2]] + [[0], [1], [0.3]]).astype(np.float32)
    mean, sd = raw.mean(axis=(0, 2)), raw.std(axis=(0, 2))
    normalise = Normalise({"accelerometer": 3}, magnitude=True)
    normalise.set({"accelerometer": ChannelStatistics(mean, sd)})

    magnitude = normalise({"accelerometer": torch.from_numpy(raw)})["accelerometer"][:, 3]

    length = np.linalg.norm(raw, axis=1)
    expected = (length - np.sqrt((length**2).mean())) / np.sqrt((sd**2).mean())
    assert magnitude.numpy() == pytest.approx(expected, abs=1e-4)


def test_constants_travel_with_the_weights() -> None:
    """They are buffers: a saved network is complete."""
    normalise, other = Normalise({"accelerometer": 3}), Normalise({"accelerometer": 3})
    normalise.set(STATISTICS)
    other.load_state_dict(normalise.state_dict())

    values = {"accelerometer": torch.randn(1, 3, 2)}
    assert torch.equal(other(values)["accelerometer"], normalise(values)["accelerometer"])
