"""From a network's configuration to a freshly initialised network."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, assert_never

import torch
from torch import Tensor, nn

from pskd_core import backbones
from pskd_core.config import Network, Preprocess
from pskd_core.data.batches import ChannelStatistics
from pskd_core.data.columnar import SKELETON, DatasetInfo, SkeletonInfo
from pskd_core.errors import SpecError
from pskd_core.models.forest import Forest
from pskd_core.models.fusion import GraphInput, LateFusion, stack_sensors
from pskd_core.models.gramian import GafResNet18
from pskd_core.models.graph import adjacency, parents, with_nodes
from pskd_core.models.normalise import Normalise
from pskd_core.models.output import Head, Output
from pskd_core.models.recurrent import DeepConvLstm
from pskd_core.models.regressors import Regressors
from pskd_core.models.skeleton import AdaptiveGcn
from pskd_core.models.students import Inception1d, ResNet1d, Tiny

SeriesNetwork = ResNet1d | Inception1d | DeepConvLstm | GafResNet18 | Tiny


class Classifier(nn.Module):
    """Every network that is trained by steps: normalise → join the streams → backbone → head."""

    def __init__(
        self,
        *,
        normalise: Normalise,
        join: Callable[[Mapping[str, Tensor]], Any],
        backbone: AdaptiveGcn | LateFusion | SeriesNetwork,
        head: Head,
    ) -> None:
        super().__init__()
        self.normalise, self.join, self.backbone, self.head = normalise, join, backbone, head

    def set_normalisation(self, statistics: Mapping[str, ChannelStatistics]) -> None:
        """Set the constants of the first layer, by stream; to be taken from the training part alone."""
        self.normalise.set(statistics)

    def forward(self, inputs: Mapping[str, Tensor]) -> Output:
        """Sensors (N, C, T_sensor) and `skeleton` (N, 3, T, V) or (N, 3, T, V, M), raw; other streams are ignored."""
        output: Output = self.head(self.backbone(self.join(self.normalise(inputs))))
        return output


def build_network(
    network: Network, *, info: DatasetInfo, preprocess: Preprocess, feature_dim: int, seed: int
) -> Classifier | Forest:
    """A network whose initial weights depend on its arguments alone; no global random state is touched.

    Args:
        network: which streams, which backbone.
        info: the dataset's classes, channels and graph.
        preprocess: frames of the graph networks, to which fused sensors are resampled.
        feature_dim: D; a forest has none.
        seed: of the initial weights.

    Raises:
        SpecError: the dataset lacks a stream that the network reads, or does not say where a fused sensor is worn.
    """
    backbone = network.backbone
    with _drawing_from(seed):
        match backbone:
            case backbones.Agcn():
                return _graph_classifier(network, backbone, info, feature_dim, frames=preprocess.skeleton_frames)
            case backbones.RandomForest():
                for sensor in network.inputs:
                    _channels(info, sensor)
                return Forest(network.inputs, classes=len(info.classes))
            case _:
                return _sensor_classifier(network, backbone, info, feature_dim)


def build_regressors(
    student: Classifier, teachers: Mapping[str, Classifier], *, seeds: Mapping[str, int]
) -> Regressors:
    """Maps from the student's feature channels to each teacher's, each drawn from its own seed."""
    convolutions = {}
    for name, teacher in teachers.items():
        with _drawing_from(seeds[name]):
            convolutions[name] = nn.Conv1d(student.backbone.channels_out, teacher.backbone.channels_out, 1)
    return Regressors(convolutions)


def _graph_classifier(
    network: Network, backbone: backbones.Agcn, info: DatasetInfo, feature_dim: int, *, frames: int
) -> Classifier:
    if info.skeleton is None:
        raise SpecError("an agcn backbone needs a skeleton, and the dataset has none", pointer="/backbone")
    sensors = tuple(stream for stream in network.inputs if stream != SKELETON)
    channels = {SKELETON: 3} | {sensor: _channels(info, sensor) for sensor in sensors}
    fusion = backbone.fusion if sensors else "channel"  # of which nothing is left without sensors
    body: AdaptiveGcn | LateFusion
    match fusion:
        case "channel":
            body = _gcn(backbone, info.skeleton, channels_in=sum(channels.values()))
        case "node" | "node_center":
            tied_to = {sensor: _joint(info, info.skeleton, sensor, fusion) for sensor in sensors}
            body = _gcn(backbone, with_nodes(info.skeleton, tied_to), channels_in=max(channels.values()))
        case "late":
            body = _late_fusion(backbone, info.skeleton, {sensor: channels[sensor] for sensor in sensors})
        case _ as never:
            assert_never(never)
    bone_parents = parents(info.skeleton) if backbone.stream == "bone" else None
    return Classifier(
        normalise=Normalise(channels),
        join=GraphInput(sensors=sensors, frames=frames, fusion=fusion, bone_parents=bone_parents),
        backbone=body,
        head=_head(body.channels_out, backbone.dropout, info, feature_dim),
    )


def _gcn(backbone: backbones.Agcn, graph: SkeletonInfo, *, channels_in: int) -> AdaptiveGcn:
    return AdaptiveGcn(
        adjacency(graph),
        channels_in=channels_in,
        width=backbone.width,
        depth=backbone.depth,
        temporal_kernel=backbone.temporal_kernel,
    )


def _late_fusion(backbone: backbones.Agcn, graph: SkeletonInfo, sensors: Mapping[str, int]) -> LateFusion:
    gcn = _gcn(backbone, graph, channels_in=3)
    # The default student beside the default graph network, and as much wider beside a wider one.
    series = ResNet1d(channels_in=sum(sensors.values()), width=2 * backbone.width, blocks=(1, 1, 1), kernel=7)
    return LateFusion(gcn, series, sensors=tuple(sensors), channels_out=gcn.channels_out + series.channels_out)


def _joint(info: DatasetInfo, skeleton: SkeletonInfo, sensor: str, fusion: str) -> int:
    """The joint to which a sensor's node is tied."""
    if fusion == "node_center":
        return skeleton.centre
    joint = info.joint_of(sensor)
    assert joint is not None, "a plan of folds refuses it"
    return joint


def _sensor_classifier(
    network: Network, backbone: backbones.Sensors, info: DatasetInfo, feature_dim: int
) -> Classifier:
    channels = {sensor: _channels(info, sensor) for sensor in network.inputs}
    body = _series_network(backbone, channels_in=sum(channels.values()) + len(channels) * backbone.magnitude)
    return Classifier(
        normalise=Normalise(channels, magnitude=backbone.magnitude),
        join=partial(stack_sensors, sensors=network.inputs),
        backbone=body,
        head=_head(body.channels_out, backbone.dropout, info, feature_dim),
    )


def _series_network(backbone: backbones.Sensors, *, channels_in: int) -> SeriesNetwork:
    """The backbone over series (N, C, T); its own fields are the network's arguments by the same names."""
    own = backbone.model_dump(exclude={"kind", "dropout", "magnitude"})
    match backbone:
        case backbones.ResNet1d():
            return ResNet1d(channels_in=channels_in, **own)
        case backbones.Inception1d():
            return Inception1d(channels_in=channels_in, **own)
        case backbones.DeepConvLstm():
            return DeepConvLstm(channels_in=channels_in, **own)
        case backbones.GafResNet18():
            return GafResNet18(channels_in=channels_in, **own)
        case backbones.Tiny():
            return Tiny(channels_in=channels_in, **own)
        case _ as never:
            assert_never(never)


def _head(channels_in: int, dropout: float, info: DatasetInfo, feature_dim: int) -> Head:
    return Head(channels_in=channels_in, feature_dim=feature_dim, classes=len(info.classes), dropout=dropout)


def _channels(info: DatasetInfo, sensor: str) -> int:
    if sensor not in info.streams:
        raise SpecError(
            f"the dataset has no stream {sensor}; it has {', '.join(sorted(info.streams))}", pointer="/inputs"
        )
    return info.item_shape(sensor)[0]


@contextmanager
def _drawing_from(seed: int) -> Iterator[None]:
    """Module initialisers draw from torch's default generator: lend it this seed, then put its state back."""
    state = torch.default_generator.get_state()
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.default_generator.set_state(state)
