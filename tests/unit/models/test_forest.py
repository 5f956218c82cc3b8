"""The random forest as a network."""

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier

from pskd_core.backbones import RandomForest
from pskd_core.data.batches import Clips
from pskd_core.data.features import hand_features
from pskd_core.models.cost import count_macs, count_parameters
from pskd_core.models.forest import Forest

CLASSES = 4  # of which the clips hold three
STREAMS = ("accelerometer", "gyroscope")


@pytest.fixture(scope="module")
def clips() -> Clips:
    """Thirty clips whose class shows in their means."""
    random = np.random.default_rng(0)
    labels = np.arange(30) % 3
    streams = {stream: random.normal(size=(30, 3, 32)) + 0.4 * labels[:, None, None] for stream in STREAMS}
    return Clips(
        streams={stream: values.astype(np.float32) for stream, values in streams.items()},
        labels=labels,
        ids=tuple(map(str, labels)),
        subjects=("1",) * 30,
        durations_s=np.ones(30, np.float32),
    )


def fitted(clips: Clips, *, seed: int = 0) -> Forest:
    forest = Forest(STREAMS, classes=CLASSES)
    forest.fit(clips, RandomForest(trees=20, smallest_leaf=2), seed=seed)
    return forest


def inputs(clips: Clips) -> dict[str, torch.Tensor]:
    return {stream: torch.from_numpy(values) for stream, values in clips.streams.items()}


def test_answers_as_the_library_s_forest(clips: Clips) -> None:
    """Our walk through the trees gives scikit-learn's probabilities, and none to a class that was not seen."""
    features = np.concatenate([hand_features(clips.streams[stream]) for stream in STREAMS], axis=1)
    theirs = RandomForestClassifier(20, min_samples_leaf=2, random_state=0).fit(features, clips.labels)
    output = fitted(clips)(inputs(clips))

    found = output.logits.exp().numpy()
    assert found[:, :3] == pytest.approx(theirs.predict_proba(features), abs=2e-6)
    assert found[:, 3] == pytest.approx(1e-6)
    assert output.embedding.numpy() == pytest.approx(features)


def test_the_seed_decides_the_trees(clips: Clips) -> None:
    """The same seed grows the same trees, another seed others."""
    first, again, other = (fitted(clips, seed=seed)(inputs(clips)).logits for seed in (0, 0, 1))

    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_trees_travel_as_weights_do(clips: Clips) -> None:
    """A fresh forest that loads the state of a fitted one answers alike, bit for bit."""
    forest, other = fitted(clips), Forest(STREAMS, classes=CLASSES)
    other.load_state_dict(forest.state_dict())

    assert torch.equal(other(inputs(clips)).logits, forest(inputs(clips)).logits)


def test_what_a_forest_costs(clips: Clips) -> None:
    """A threshold for each inner node and K frequencies for each leaf, of which a tree has one more; no products."""
    forest = fitted(clips)
    inner = (len(forest.get_buffer("left")) - 20) // 2

    assert count_parameters(forest) == inner + (inner + 20) * CLASSES
    assert count_macs(forest, inputs(clips)) == 0
