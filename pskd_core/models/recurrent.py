"""Convolutions, then one recurrent layer: DeepConvLSTM, with self-attention if wanted."""

import torch
from torch import Tensor, nn

from pskd_core.models.layers import conv_norm


class DeepConvLstm(nn.Module):
    """DeepConvLSTM (Ordóñez and Roggen, Sensors 2016) with one LSTM layer, as Singh et al. [66] use it.

    Every channel passes the same filters over time; the LSTM sees all channels' features of a moment. Kernels are
    padded, and each convolution has a batch-norm, which the published network lacks. The last state alone is not
    singled out: the head averages the states, or attention weighs them.

    (N, C, T) → feature map (N, hidden, T).
    """

    def __init__(self, *, channels_in: int, width: int, depth: int, kernel: int, hidden: int, attention: bool) -> None:
        super().__init__()
        self.channels_out = hidden
        layers: list[nn.Module] = []
        for index in range(depth):
            layers += [*conv_norm(width if index else 1, width, kernel=(1, kernel)), nn.ReLU()]
        self.filters = nn.Sequential(*layers)
        self.lstm = nn.LSTM(width * channels_in, hidden, batch_first=True)
        self.attention = SelfAttention(hidden) if attention else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T) → (N, hidden, T)."""
        features = self.filters(x.unsqueeze(1)).flatten(1, 2)  # (N, width·C, T)
        states, _ = self.lstm(features.mT)  # (N, T, hidden)
        weighed: Tensor = self.attention(states)
        return weighed.mT


class SelfAttention(nn.Module):
    """a = softmax over time of w · tanh(W h_t) (Lin et al., ICLR 2017, one row of their annotation matrix).

    Gives T · a_t · h_t, whose mean over time, which the head takes, is Σ_t a_t h_t.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(width, width // 2)
        self.score = nn.Linear(width // 2, 1, bias=False)

    def forward(self, states: Tensor) -> Tensor:
        """(N, T, H) → (N, T, H)."""
        weights = torch.softmax(self.score(torch.tanh(self.hidden(states))), dim=1)  # (N, T, 1)
        return states * weights * states.shape[1]
