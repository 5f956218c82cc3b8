"""Networks from their configuration."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from pskd_core.config import Agcn, Network, Preprocess, ResNet1d
from pskd_core.data.columnar import DatasetInfo
from pskd_core.errors import SpecError
from pskd_core.export import Served, _export_onnx
from pskd_core.models.build import Classifier, build_network
from pskd_core.models.cost import count_macs, count_parameters

SKELETON = Network(inputs=("skeleton",), backbone=Agcn(width=4, depth=3))
FUSION = Network(inputs=("skeleton", "accelerometer"), backbone=Agcn(width=4, depth=3))
STUDENT = Network(inputs=("accelerometer",), backbone=ResNet1d(width=8))
BOTH_SENSORS = Network(inputs=("gyroscope", "accelerometer"), backbone=ResNet1d(width=8, magnitude=True))
NETWORKS = {"skeleton": SKELETON, "fusion": FUSION, "student": STUDENT, "two sensors": BOTH_SENSORS}


def build(network: Network, info: DatasetInfo, *, seed: int = 0, feature_dim: int = 128) -> Classifier:
    return build_network(network, info=info, preprocess=Preprocess(), feature_dim=feature_dim, seed=seed)


def batch(count: int = 3) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(0)
    return {
        "skeleton": torch.randn(count, 3, 64, 20, generator=random),
        "accelerometer": torch.randn(count, 3, 128, generator=random),
        "gyroscope": torch.randn(count, 3, 128, generator=random),
    }


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_every_network_answers_alike(network: Network, info: DatasetInfo) -> None:
    """Logits (N, K) and an embedding (N, D) of the same width in all, from a batch that holds every stream."""
    output = build(network, info, feature_dim=24)(batch())

    assert output.logits.shape == (3, 27)
    assert output.embedding.shape == (3, 24)
    assert output.feature_map.shape[0] == 3
    assert output.feature_map.ndim == (4 if "skeleton" in network.inputs else 3)


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_the_seed_alone_decides_the_weights(network: Network, info: DatasetInfo) -> None:
    """Same seed, same weights, whatever was drawn before; another seed, other weights."""
    torch.manual_seed(1)
    first = build(network, info, seed=5).state_dict()
    torch.manual_seed(2)
    again, other = build(network, info, seed=5).state_dict(), build(network, info, seed=6).state_dict()

    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["head.fc1.weight"], other["head.fc1.weight"])


def test_building_touches_no_global_random_state(info: DatasetInfo) -> None:
    """What is drawn after building a network is what would have been drawn without it."""
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    build(FUSION, info)

    assert torch.equal(torch.rand(4), expected)


def test_a_fusion_teacher_sees_its_sensor(info: DatasetInfo) -> None:
    """Another acceleration gives other logits; another rotation, which it does not read, does not."""
    network, clips = build(FUSION, info).eval(), batch()
    logits = network(clips).logits

    assert not torch.allclose(network({**clips, "accelerometer": -clips["accelerometer"]}).logits, logits)
    assert torch.equal(network({**clips, "gyroscope": -clips["gyroscope"]}).logits, logits)


def test_paper_teacher_has_the_published_size(info: DatasetInfo) -> None:
    """2s-AGCN at width 64 and depth 10 on 20 joints, 64 frames: 3.45 M parameters and 1.64 GMAC a sample.

    The published network ends in one layer; fc0 adds 1 %.
    """
    network = build(Network(inputs=("skeleton",), backbone=Agcn(width=64, depth=10)), info)

    assert count_parameters(network) == pytest.approx(3.45e6, rel=0.01)
    assert count_macs(network, batch(1)) == pytest.approx(1.64e9, rel=0.003)


def test_default_student_is_small(info: DatasetInfo) -> None:
    """A quarter of a million parameters and about 11 MMAC a clip, 1/150 of the paper's teacher."""
    student = build(Network(inputs=("accelerometer",), backbone=ResNet1d()), info)

    assert 200_000 < count_parameters(student) < 300_000
    assert count_macs(student, batch(1)) < 12e6


@pytest.mark.parametrize(
    ("network", "without", "detail"),
    [
        (FUSION, "accelerometer", "no stream accelerometer; it has gyroscope, skeleton"),
        (STUDENT, "accelerometer", "no stream accelerometer"),
        (SKELETON, "skeleton", "needs a skeleton, and the dataset has none"),
    ],
)
def test_a_missing_stream_is_named(network: Network, without: str, detail: str, info: DatasetInfo) -> None:
    """A network that reads what the dataset lacks is refused with what there is."""
    fields: dict[str, Any] = {"streams": {name: info.streams[name] for name in info.streams if name != without}}
    if without == "skeleton":
        fields["skeleton"] = None

    with pytest.raises(SpecError, match=detail):
        build(network, info.model_copy(update=fields))


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_weights_survive_a_file(network: Network, info: DatasetInfo, tmp_path: Path) -> None:
    """Blocks share no storage, which safetensors would refuse, and nothing that the logits need is left behind."""
    source, other = build(network, info, seed=1).eval(), build(network, info, seed=2).eval()
    save_file(source.state_dict(), tmp_path / "weights.safetensors")
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))

    assert torch.equal(other(batch()).logits, source(batch()).logits)


def test_a_copy_is_independent(info: DatasetInfo) -> None:
    """Averaged weights start as a deep copy: changing it leaves the source alone."""
    network = build(FUSION, info).eval()
    before = network(batch()).logits
    with torch.no_grad():
        for parameter in copy.deepcopy(network).parameters():
            parameter.add_(1)

    assert torch.equal(network(batch()).logits, before)


@pytest.mark.parametrize("network", [STUDENT, BOTH_SENSORS], ids=["one sensor", "two sensors"])
def test_students_export_with_a_free_batch_axis(network: Network, info: DatasetInfo, tmp_path: Path) -> None:
    """The ONNX graph gives the source's logits for batches of one and of five."""
    served = Served(build(network, info), network.inputs).eval()
    windows = torch.cat([batch(5)[stream] for stream in network.inputs], dim=1)
    _export_onnx(served, windows[:2], tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])

    for count in (1, 5):
        found = session.run(["logits"], {"windows": windows[:count].numpy()})[0]
        with torch.no_grad():
            assert np.abs(found - served(windows[:count])[0].numpy()).max() < 1e-5
