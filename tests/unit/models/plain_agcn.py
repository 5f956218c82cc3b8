"""A plain transcription of 2s-AGCN's formulation, subset by subset, run on the weights of an `AdaptiveGcn`.

It is the oracle of the network's tests and the yardstick of its speed.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pskd_core.models.skeleton import AdaptiveGcn, Block, SpatialUnit


def plain_agcn(network: AdaptiveGcn, x: Tensor) -> Tensor:
    """(N, C, T, V) → feature map (N, C_out, T_out, V)."""
    N, C, T, V = x.shape
    x = network.data_norm(x.permute(0, 3, 1, 2).reshape(N, V * C, T)).reshape(N, V, C, T).permute(0, 2, 3, 1)
    for block in network.blocks:
        assert isinstance(block, Block)
        x = _block(block, x.contiguous())
    return x


def _block(block: Block, x: Tensor) -> Tensor:
    y = _conv_norm(block.temporal, _spatial(block.spatial, x))
    if block.residual is not None:
        y = y + _conv_norm(block.residual, x)
    return F.relu(y)


def _spatial(unit: SpatialUnit, x: Tensor) -> Tensor:
    C_e, T = unit.embed.out_channels // 6, x.shape[2]
    theta_weights, phi_weights = unit.embed.weight.chunk(2)
    theta_biases, phi_biases = unit.embed.get_parameter("bias").chunk(2)
    y = torch.zeros((), dtype=x.dtype)
    for k in range(3):
        one = slice(k * C_e, (k + 1) * C_e)
        theta = F.conv2d(x, theta_weights[one], theta_biases[one])  # (N, C_e, T, V)
        phi = F.conv2d(x, phi_weights[one], phi_biases[one])
        C_k = torch.softmax(torch.einsum("nctu,nctv->nuv", theta, phi) / (C_e * T), dim=1)
        A = unit.adjacency[k] + unit.learned[k] + C_k  # (N, V, V)
        y = y + F.conv2d(torch.einsum("nctu,nuv->nctv", x, A), unit.transform.weight[:, :, k : k + 1])
    return F.relu(unit.norm(y) + _conv_norm(unit.residual, x))


def _conv_norm(module: nn.Module, x: Tensor) -> Tensor:
    """A convolution over time and its batch-norm, or nothing."""
    if isinstance(module, nn.Identity):
        return x
    assert isinstance(module, nn.Sequential)
    conv, norm = module
    assert isinstance(conv, nn.Conv2d)
    y: Tensor = norm(F.conv2d(x, conv.weight.mT, stride=(conv.stride[1], 1), padding=(conv.kernel_size[1] // 2, 0)))
    return y
