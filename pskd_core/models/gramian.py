"""Series as images: Gramian angular fields, and ResNet-18 over them."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pskd_core.models.layers import conv_norm, residual_stages

Field = Literal["gadf", "gasf", "both"]


def gramian_fields(series: Tensor, *, field: Field) -> Tensor:
    """Gramian angular fields of each channel (Wang and Oates, IJCAI 2015).

    Each channel of each clip is brought to x ∈ [−1, 1] by its own minimum and maximum and read as the cosine of an
    angle φ_t. GASF is cos(φ_s + φ_t), GADF is sin(φ_s − φ_t). A constant channel gives φ = π everywhere.

    Args:
        series: (N, C, T).
        field: `both` puts the summation fields behind the difference fields.

    Returns:
        (N, C, T, T), or (N, 2·C, T, T) for `both`; values within [−1, 1].
    """
    low, high = series.amin(dim=2, keepdim=True), series.amax(dim=2, keepdim=True)
    share = (series - low) / (high - low).clamp(min=1e-6)  # 0 and 1 are met exactly, so that no root is of a rounding
    cosine = (2 * share - 1).unsqueeze(3)  # (N, C, T, 1)
    sine = 2 * (share * (1 - share)).sqrt().unsqueeze(3)
    fields = []
    if field != "gasf":
        fields.append(sine * cosine.mT - cosine * sine.mT)
    if field != "gadf":
        fields.append(cosine * cosine.mT - sine * sine.mT)
    return torch.cat(fields, dim=1)


class GafResNet18(nn.Module):
    """Each channel's field as one channel of an image, then ResNet-18 (He et al., CVPR 2016).

    (N, C, T) → feature map (N, 8 · width, ⌈image / 32⌉, ⌈image / 32⌉); both of its axes are time.
    """

    def __init__(self, *, channels_in: int, field: Field, image: int, width: int) -> None:
        super().__init__()
        self.field, self.image = field, image
        images = channels_in * (2 if field == "both" else 1)
        self.stem = nn.Sequential(
            *conv_norm(images, width, kernel=(7, 7), stride=(2, 2)), nn.ReLU(), nn.MaxPool2d(3, stride=2, padding=1)
        )
        self.stages = residual_stages(width, (2, 2, 2, 2), kernel=(3, 3))
        self.channels_out = 8 * width

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T) → (N, C_out, T_out, T_out)."""
        # Piecewise aggregate approximation: the means of `image` equal parts of the clip.
        steps = F.adaptive_avg_pool1d(x, self.image)
        features: Tensor = self.stages(self.stem(gramian_fields(steps, field=self.field)))
        return features
