"""From a network's configuration to a freshly initialised network."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import assert_never

import torch
from torch import Tensor, nn

from pskd_core import config
from pskd_core.data.batches import ChannelStatistics
from pskd_core.data.columnar import SKELETON, DatasetInfo
from pskd_core.errors import SpecError
from pskd_core.models.fusion import fuse_on_channels, stack_sensors
from pskd_core.models.graph import adjacency
from pskd_core.models.normalise import Normalise
from pskd_core.models.output import Head, Output
from pskd_core.models.regressors import Regressors
from pskd_core.models.skeleton import AdaptiveGcn
from pskd_core.models.students import ResNet1d


class Classifier(nn.Module):
    """Every network of a job: normalise → join the streams → backbone → head."""

    def __init__(
        self,
        *,
        normalise: Normalise,
        join: Callable[[Mapping[str, Tensor]], Tensor],
        backbone: AdaptiveGcn | ResNet1d,
        head: Head,
    ) -> None:
        super().__init__()
        self.normalise, self.join, self.backbone, self.head = normalise, join, backbone, head

    def set_normalisation(self, statistics: Mapping[str, ChannelStatistics]) -> None:
        """Set the constants of the first layer, by stream; to be taken from the training part alone."""
        self.normalise.set(statistics)

    def forward(self, inputs: Mapping[str, Tensor]) -> Output:
        """Sensors (N, C, T_sensor) and `skeleton` (N, 3, T, V), raw; streams it does not read are ignored."""
        output: Output = self.head(self.backbone(self.join(self.normalise(inputs))))
        return output


def build_network(
    network: config.Network, *, info: DatasetInfo, preprocess: config.Preprocess, feature_dim: int, seed: int
) -> Classifier:
    """A network whose initial weights depend on its arguments alone; no global random state is touched.

    Args:
        network: which streams, which backbone.
        info: the dataset's classes, channels and graph.
        preprocess: frames of the graph networks, to which fused sensors are resampled.
        feature_dim: D.
        seed: of the initial weights.

    Raises:
        SpecError: the dataset lacks a stream that the network reads.
    """
    backbone = network.backbone
    with _drawing_from(seed):
        match backbone:
            case config.Agcn():
                return _graph_classifier(network, backbone, info, feature_dim, frames=preprocess.skeleton_frames)
            case config.ResNet1d():
                return _sensor_classifier(network, backbone, info, feature_dim)
            case _ as never:
                assert_never(never)


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
    network: config.Network, backbone: config.Agcn, info: DatasetInfo, feature_dim: int, *, frames: int
) -> Classifier:
    if info.skeleton is None:
        raise SpecError("an agcn backbone needs a skeleton, and the dataset has none", pointer="/backbone")
    sensors = tuple(stream for stream in network.inputs if stream != SKELETON)
    channels = {SKELETON: 3} | {sensor: _channels(info, sensor) for sensor in sensors}
    gcn = AdaptiveGcn(
        adjacency(info.skeleton),
        channels_in=sum(channels.values()),
        width=backbone.width,
        depth=backbone.depth,
        temporal_kernel=backbone.temporal_kernel,
    )
    return Classifier(
        normalise=Normalise(channels),
        join=partial(fuse_on_channels, sensors=sensors, frames=frames),
        backbone=gcn,
        head=_head(gcn.channels_out, backbone.dropout, info, feature_dim),
    )


def _sensor_classifier(
    network: config.Network, backbone: config.ResNet1d, info: DatasetInfo, feature_dim: int
) -> Classifier:
    channels = {sensor: _channels(info, sensor) for sensor in network.inputs}
    resnet = ResNet1d(
        channels_in=sum(channels.values()) + len(channels) * backbone.magnitude,
        width=backbone.width,
        blocks=backbone.blocks,
        kernel=backbone.kernel,
    )
    return Classifier(
        normalise=Normalise(channels, magnitude=backbone.magnitude),
        join=partial(stack_sensors, sensors=network.inputs),
        backbone=resnet,
        head=_head(resnet.channels_out, backbone.dropout, info, feature_dim),
    )


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
