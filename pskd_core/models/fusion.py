"""How several streams become one network input."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def stack_sensors(streams: Mapping[str, Tensor], *, sensors: Sequence[str]) -> Tensor:
    """Sensors on top of one another on the channel axis: S times (N, C, T) → (N, C·S, T)."""
    return torch.cat([streams[name] for name in sensors], dim=1)


def fuse_on_channels(streams: Mapping[str, Tensor], *, sensors: Sequence[str], frames: int) -> Tensor:
    """Channel fusion: every joint carries, besides its own x, y, z, those of every sensor at the same relative time.

    Sensors are resampled to the skeleton's frames by linear interpolation, first and last sample kept.

    Args:
        streams: `skeleton` (N, 3, T, V) and each of `sensors` (N, C, T_sensor).
        sensors: which streams join the skeleton, in channel order; may be empty.
        frames: T.

    Returns:
        (N, 3 + C·S, T, V).
    """
    skeleton = streams["skeleton"]
    if not sensors:
        return skeleton
    worn = F.interpolate(stack_sensors(streams, sensors=sensors), size=frames, mode="linear", align_corners=True)
    return torch.cat([skeleton, worn.unsqueeze(-1).expand(-1, -1, -1, skeleton.shape[-1])], dim=1)
