"""The first layer of every network: each channel brought to mean 0 and standard deviation 1 of the training part."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from pskd_core.data.batches import ChannelStatistics


class Normalise(nn.Module):
    """(x − mean) / sd per stream and channel; with `magnitude`, each stream's vector length is one more channel.

    The constants are buffers, so that an exported network takes values in the sensors' own units.
    """

    def __init__(self, channels: Mapping[str, int], *, magnitude: bool = False) -> None:
        super().__init__()
        self.magnitude = magnitude
        self.streams = tuple(channels)
        for stream, count in channels.items():
            self.register_buffer(f"{stream}_mean", torch.zeros(count + magnitude))
            self.register_buffer(f"{stream}_sd", torch.ones(count + magnitude))

    def set(self, statistics: Mapping[str, ChannelStatistics]) -> None:
        """Take the constants of this network's streams; `statistics` may hold others as well."""
        for stream in self.streams:
            mean, sd = (torch.from_numpy(part) for part in (statistics[stream].mean, statistics[stream].sd))
            if self.magnitude:
                # The root mean square of the length follows from the channels' moments.
                length = torch.linalg.vector_norm(torch.cat([mean, sd]))
                mean = torch.cat([mean, length[None]])
                sd = torch.cat([sd, sd.square().mean().sqrt()[None]])
            self.get_buffer(f"{stream}_mean").copy_(mean)
            self.get_buffer(f"{stream}_sd").copy_(sd)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """(N, C, T), (N, C, T, V) or (N, C, T, V, M) a stream, normalised; streams that are not read are left out.

        Of several persons M, those who are not there are 0 before and after.
        """
        return {stream: self._normalised(stream, inputs[stream]) for stream in self.streams}

    def _normalised(self, stream: str, values: Tensor) -> Tensor:
        if self.magnitude:
            values = torch.cat([values, torch.linalg.vector_norm(values, dim=1, keepdim=True)], dim=1)
        shape = (-1, *[1] * (values.ndim - 2))
        mean, sd = self.get_buffer(f"{stream}_mean"), self.get_buffer(f"{stream}_sd")
        normal = (values - mean.reshape(shape)) / sd.reshape(shape)
        if values.ndim < 5:
            return normal
        # Who is 0 throughout the clip is not there, and shall not become a body that stands at -mean / sd.
        return normal * (values != 0).any(dim=(1, 2, 3), keepdim=True)
