"""How several streams become one network input.

Sensors are resampled to the skeleton's frames by linear interpolation, first and last sample kept. A skeleton of
several persons has a last axis M; each of them is then given the same sensors.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, assert_never

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pskd_core.data.columnar import SKELETON

Fusion = Literal["channel", "node", "node_center", "late"]


def stack_sensors(streams: Mapping[str, Tensor], *, sensors: Sequence[str]) -> Tensor:
    """Sensors on top of one another on the channel axis: S times (N, C, T) → (N, C·S, T)."""
    return torch.cat([streams[name] for name in sensors], dim=1)


def fuse_on_channels(streams: Mapping[str, Tensor], *, sensors: Sequence[str], frames: int) -> Tensor:
    """Channel fusion: every joint carries, besides its own x, y, z, those of every sensor at the same relative time.

    Args:
        streams: `skeleton` (N, 3, T, V) or (N, 3, T, V, M), and each of `sensors` (N, C, T_sensor).
        sensors: which streams join the skeleton, in channel order; may be empty.
        frames: T.

    Returns:
        (N, 3 + C·S, T, V), with M behind if the skeleton has it.
    """
    skeleton = streams[SKELETON]
    if not sensors:
        return skeleton
    worn = _at_frames(stack_sensors(streams, sensors=sensors), skeleton, frames=frames)
    return torch.cat([skeleton, worn.expand(-1, -1, *skeleton.shape[2:])], dim=1)


def fuse_as_nodes(streams: Mapping[str, Tensor], *, sensors: Sequence[str], frames: int) -> Tensor:
    """Node fusion: every sensor is a further node of the graph, its x, y, z standing where a joint's stand.

    Arguments as for `fuse_on_channels`. Where channels differ in number, zeros fill up the fewer.

    Returns:
        (N, max(3, C), T, V + S), with M behind if the skeleton has it.
    """
    skeleton = streams[SKELETON]
    worn = [_at_frames(streams[name], skeleton, frames=frames) for name in sensors]
    nodes = [skeleton, *(node.expand(-1, -1, -1, -1, *skeleton.shape[4:]) for node in worn)]
    most = max(node.shape[1] for node in nodes)
    return torch.cat([_with_channels(node, most) for node in nodes], dim=3)


def _at_frames(sensor: Tensor, skeleton: Tensor, *, frames: int) -> Tensor:
    """(N, C, T_sensor) → (N, C, T, 1), or (N, C, T, 1, 1) beside a skeleton of several persons."""
    resampled = F.interpolate(sensor, size=frames, mode="linear", align_corners=True)
    return resampled.reshape(*resampled.shape, *[1] * (skeleton.ndim - 3))


def _with_channels(node: Tensor, channels: int) -> Tensor:
    behind = [0, 0] * (node.ndim - 2)
    return F.pad(node, (*behind, 0, channels - node.shape[1]))


class GraphInput(nn.Module):
    """Normalised streams → what a graph network reads: joints or bones, and the sensors as `fusion` has it."""

    def __init__(self, *, sensors: Sequence[str], frames: int, fusion: Fusion, bone_parents: Tensor | None) -> None:
        super().__init__()
        self.sensors, self.frames, self.fusion = sensors, frames, fusion
        self.register_buffer("bone_parents", bone_parents, persistent=False)  # belongs to the dataset
        self.bone_parents: Tensor | None

    def forward(self, streams: Mapping[str, Tensor]) -> Tensor | Mapping[str, Tensor]:
        """One tensor; or, for `late`, the streams themselves."""
        if self.bone_parents is not None:
            joints = streams[SKELETON]
            streams = {**streams, SKELETON: joints - joints.index_select(3, self.bone_parents)}
        match self.fusion:
            case "channel":
                return fuse_on_channels(streams, sensors=self.sensors, frames=self.frames)
            case "node" | "node_center":
                return fuse_as_nodes(streams, sensors=self.sensors, frames=self.frames)
            case "late":
                return streams
            case _ as never:
                assert_never(never)


class LateFusion(nn.Module):
    """A graph network over the skeleton and a 1-D network over the sensors; their features are concatenated.

    The sensors' map is averaged to the skeleton map's frames and given to every joint, so that the two are one map and
    its mean over frames and joints is the concatenation of both means.
    """

    def __init__(self, graph: nn.Module, series: nn.Module, *, sensors: Sequence[str], channels_out: int) -> None:
        super().__init__()
        self.graph, self.series, self.sensors, self.channels_out = graph, series, sensors, channels_out

    def forward(self, streams: Mapping[str, Tensor]) -> Tensor:
        """`skeleton` (N, 3, T, V) and sensors (N, C, T_sensor) → (N, C_graph + C_series, T_out, V)."""
        moving = self.graph(streams[SKELETON])
        worn = F.adaptive_avg_pool1d(self.series(stack_sensors(streams, sensors=self.sensors)), moving.shape[2])
        return torch.cat([moving, worn.unsqueeze(3).expand(-1, -1, -1, moving.shape[3])], dim=1)
