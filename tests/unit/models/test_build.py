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

from pskd_core.backbones import Agcn, Backbone, DeepConvLstm, GafResNet18, Inception1d, RandomForest, ResNet1d, Tiny
from pskd_core.config import Network, Preprocess
from pskd_core.data.columnar import DatasetInfo
from pskd_core.errors import SpecError
from pskd_core.evaluation.calibration import Space
from pskd_core.export import Served, _export_onnx
from pskd_core.models.build import Classifier, build_network
from pskd_core.models.cost import count_macs, count_parameters

SKELETON = Network(inputs=("skeleton",), backbone=Agcn(width=4, depth=3))
FUSION = Network(inputs=("skeleton", "accelerometer"), backbone=Agcn(width=4, depth=3))
STUDENT = Network(inputs=("accelerometer",), backbone=ResNet1d(width=8))
BOTH_SENSORS = Network(inputs=("gyroscope", "accelerometer"), backbone=ResNet1d(width=8, magnitude=True))
STUDENTS = {
    "student": STUDENT,
    "two sensors": BOTH_SENSORS,
    "inception1d": Network(inputs=("accelerometer",), backbone=Inception1d(width=4, depth=4, kernels=(5, 11))),
    "deepconvlstm": Network(inputs=("accelerometer",), backbone=DeepConvLstm(width=4, depth=2, hidden=8)),
    "attention": Network(
        inputs=("accelerometer",), backbone=DeepConvLstm(width=4, depth=1, hidden=8, attention=True, magnitude=True)
    ),
    "gaf_resnet18": Network(inputs=("accelerometer",), backbone=GafResNet18(width=4, image=50, field="both")),
    "tiny": Network(inputs=("accelerometer",), backbone=Tiny(width=4)),
}
GRAPHS = {"skeleton": SKELETON, "fusion": FUSION} | {
    name: Network(inputs=("skeleton", "accelerometer"), backbone=Agcn(width=4, depth=3, **fields))
    for name, fields in {
        "bones": {"stream": "bone"},
        "node": {"fusion": "node"},
        "node_center": {"fusion": "node_center"},
        "late": {"fusion": "late", "stream": "bone"},
    }.items()
}
NETWORKS = {**GRAPHS, **STUDENTS}


def build(network: Network, info: DatasetInfo, *, seed: int = 0, feature_dim: int = 128) -> Classifier:
    built = build_network(network, info=info, preprocess=Preprocess(), feature_dim=feature_dim, seed=seed)
    assert isinstance(built, Classifier)
    return built


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
    assert output.feature_map.ndim == 3


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_a_gradient_reaches_every_weight(network: Network, info: DatasetInfo) -> None:
    """No part of a network is built and left out."""
    built = build(network, info)
    torch.autograd.backward(built(batch(8)).logits.square().sum())

    assert [name for name, weight in built.named_parameters() if weight.grad is None or not weight.grad.any()] == []


@pytest.mark.parametrize("network", GRAPHS.values(), ids=GRAPHS)
def test_persons_are_averaged(network: Network, info: DatasetInfo) -> None:
    """Two persons in any order give one map; two who move alike give that of one."""
    built, clips = build(network, info).eval(), batch()
    one = clips["skeleton"]
    other = one.flip(0)
    both, swapped = torch.stack([one, other], dim=4), torch.stack([other, one], dim=4)

    answer = built({**clips, "skeleton": both})
    assert answer.feature_map.shape == built(clips).feature_map.shape
    assert torch.allclose(answer.logits, built({**clips, "skeleton": swapped}).logits, atol=1e-5)
    assert not torch.allclose(answer.logits, built(clips).logits, atol=1e-5)
    twins = built({**clips, "skeleton": torch.stack([one, one], dim=4)})
    assert torch.allclose(twins.logits, built(clips).logits, atol=1e-5)


def test_late_fusion_joins_the_means_of_both(info: DatasetInfo) -> None:
    """The head's pooling of the common map is each network's own, one behind the other."""
    built, clips = build(GRAPHS["late"], info).eval(), batch()
    late: Any = built.backbone
    joined = built.join(built.normalise(clips))
    expected = [late.graph(joined["skeleton"]).mean(dim=(2, 3)), late.series(joined["accelerometer"]).mean(dim=2)]

    assert torch.allclose(built(clips).feature_map.mean(dim=2), torch.cat(expected, dim=1), atol=1e-5)


def test_bones_do_not_know_where_a_person_stands(info: DatasetInfo) -> None:
    """Moving the whole skeleton moves joints and leaves bones."""
    bones = build(Network(inputs=("skeleton",), backbone=Agcn(width=4, depth=3, stream="bone")), info).eval()
    joints = build(SKELETON, info).eval()
    clips = batch()
    moved = {**clips, "skeleton": clips["skeleton"] + 1}

    assert torch.allclose(bones(moved).logits, bones(clips).logits, atol=1e-5)
    assert not torch.allclose(joints(moved).logits, joints(clips).logits, atol=1e-5)


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


@pytest.mark.parametrize(
    ("backbone", "parameters", "megamacs"),
    [
        (ResNet1d(), 261_627, 10.6),
        (Inception1d(), 126_139, 14.5),
        (DeepConvLstm(), 247_131, 44.7),
        (DeepConvLstm(attention=True), 255_451, 45.8),
        (GafResNet18(), 11_245_659, 148.1),
        (Tiny(), 20_155, 0.24),
        (Tiny(width=24, magnitude=True), 33_587, 0.5),
    ],
)
def test_sizes_of_the_students(backbone: Backbone, parameters: int, megamacs: float, info: DatasetInfo) -> None:
    """What the documents say of each at its defaults, on 27 classes; `tiny` fits a watch at any width."""
    student = build(Network(inputs=("accelerometer",), backbone=backbone), info)

    assert count_parameters(student) == parameters
    assert count_macs(student, batch(1)) == pytest.approx(megamacs * 1e6, rel=0.01)


@pytest.mark.parametrize(
    ("network", "without", "detail"),
    [
        (Network(inputs=("gyroscope",), backbone=RandomForest()), "gyroscope", "no stream gyroscope"),
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


@pytest.mark.parametrize("network", STUDENTS.values(), ids=STUDENTS)
def test_students_export_with_a_free_batch_axis(network: Network, info: DatasetInfo, tmp_path: Path) -> None:
    """The ONNX graph gives the source's logits for batches of one and of five."""
    space = Space(whitening=np.eye(128, dtype=np.float32), centres=np.zeros((2, 128), np.float32))
    served = Served(build(network, info), network.inputs, space).eval()
    windows = torch.cat([batch(5)[stream] for stream in network.inputs], dim=1)
    _export_onnx(served, windows[:2], tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])

    for count in (1, 5):
        found = session.run(["logits"], {"windows": windows[:count].numpy()})[0]
        with torch.no_grad():
            assert np.abs(found - served(windows[:count])[0].numpy()).max() < 1e-5
