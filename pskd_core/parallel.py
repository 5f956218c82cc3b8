"""Several processes compute one batch, each its own samples, and every one of them goes the way of one process alone.

Within a network only batch-norm and dropout know the batch around a sample: the first takes its statistics over all
processes, the second draws for the whole batch. A network's answers are then put together, so that whatever follows
(losses over pairs, gates, weights, metrics) sees the whole batch, in every process alike, and needs to know nothing of
this. Gradients meet once a step. The sums are those of one process in another order: equal to rounding, not to the bit.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from pskd_core.models.output import Output
from pskd_core.shapes import IntArray


@dataclass(frozen=True)
class Split:
    """How a batch is divided: each process has the `counts[rank]` samples that follow those of the ranks before it."""

    counts: tuple[int, ...]
    rank: int

    @property
    def alone(self) -> bool:
        """One process computes the whole batch."""
        return len(self.counts) == 1

    @property
    def mine(self) -> slice:
        """The samples of this process."""
        start = sum(self.counts[: self.rank])
        return slice(start, start + self.counts[self.rank])

    def of(self, rows: IntArray) -> "Split":
        """How these samples of the batch, in order, are divided: each stays where it is."""
        ends = np.searchsorted(rows, list(accumulate(self.counts)))
        return Split(tuple(np.diff(ends, prepend=0).tolist()), self.rank)


@dataclass(frozen=True)
class Team:
    """The processes of a run; `rank` is this one's number, and 0 decides."""

    rank: int = 0
    size: int = 1

    def split(self, samples: int) -> Split:
        """A batch in shares that differ by one sample at most."""
        ends = [samples * rank // self.size for rank in range(self.size + 1)]
        return Split(tuple(np.diff(ends).tolist()), self.rank)

    def average_gradients(self, network: nn.Module) -> None:
        """The mean over the processes, in place, in one message."""
        if self.size == 1:
            return
        gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
        joined = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(joined)
        parts = torch.split(joined / self.size, [gradient.numel() for gradient in gradients])
        shaped = [part.view(gradient.shape) for part, gradient in zip(parts, gradients, strict=True)]
        torch._foreach_copy_(gradients, shaped)


ALONE = Team()


def forward(network: nn.Module, inputs: Mapping[str, Tensor], split: Split) -> Output:
    """What a network answers to this process's samples, as if the rest of their batch stood beside them."""
    if split.alone or not network.training:
        alone: Output = network(inputs)
        return alone
    with _WholeBatch(split):
        beside: Output = network(inputs)
    return beside


def gathered(output: Output, split: Split) -> Output:
    """The answers to the whole batch, in every process; a gradient flows back into this process's own.

    Every process has the same loss of the whole batch, hence the same gradient, of which it takes its own samples'.
    """
    if split.alone:
        return output
    widths = [part[0].numel() for part in output]
    own = torch.cat([part.flatten(1) for part in output], dim=1)[: split.counts[split.rank]]
    everyones: Tensor = _Gather.apply(own, split)  # type: ignore[no-untyped-call]
    parts = torch.split(everyones, widths, dim=1)
    return Output(*(part.reshape(-1, *like.shape[1:]) for part, like in zip(parts, output, strict=True)))


class _Gather(torch.autograd.Function):
    """(n, F) of each process → (N, F)."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, split: Split) -> Tensor:
        ctx.split = split
        padded = own.new_zeros(max(split.counts), own.shape[1])
        padded[: len(own)] = own
        everyones = _all_gathered(padded)
        return torch.cat([part[:count] for part, count in zip(everyones, split.counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        # Gradients are averaged over the processes in the end, and of a network's each has a part: hence the factor.
        # What trains on the gathered answers, such as regressors, has its whole gradient in each, and keeps it.
        return gradient[ctx.split.mine] * len(ctx.split.counts), None


class _WholeBatch(TorchFunctionMode):
    """While it lasts, networks in training take batch-norm and dropout over the batch of all processes."""

    def __init__(self, split: Split) -> None:
        super().__init__()
        self._split = split

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.batch_norm and kwargs["training"]:
            return _batch_norm(*args, **kwargs, present=self._split.counts[self._split.rank] > 0)
        if func is F.dropout and kwargs["training"]:
            return _dropout(*args, p=kwargs["p"], split=self._split)
        return func(*args, **kwargs)


def _dropout(x: Tensor, *, p: float, split: Split) -> Tensor:
    """One process's draw for the whole batch, of which this one takes its samples'."""
    own = split.mine
    if own.stop == own.start:
        return x
    kept = F.dropout(x.new_ones(sum(split.counts), *x.shape[1:]), p=p, training=True)
    return x * kept[own]


def _batch_norm(
    x: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    *,
    weight: Tensor,
    bias: Tensor,
    training: bool,  # noqa: ARG001 - it is, or we were not here
    momentum: float,
    eps: float,
    present: bool,
) -> Tensor:
    """F.batch_norm with the statistics of all processes; without samples, `present` is false and x stands for none."""
    normal, mean, variance, count = _BatchNorm.apply(x, weight, bias, eps, present)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        running_mean.lerp_(mean.to(running_mean.dtype), momentum)
        running_var.lerp_((variance * count / (count - 1)).to(running_var.dtype), momentum)
    result: Tensor = normal
    return result


class _BatchNorm(torch.autograd.Function):
    """Normalisation by the mean and variance over the processes; torch's own such layer refuses processors."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float, present: bool
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        mean, variance, count = _moments(x, like=weight, present=present)
        ctx.save_for_backward(x, weight, mean, variance, count)
        ctx.eps, ctx.present = eps, present
        ctx.mark_non_differentiable(mean, variance, count)
        return F.batch_norm(x, mean, variance, weight, bias, training=False, eps=eps), mean, variance, count

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        x, weight, mean, variance, count = ctx.saved_tensors
        invert = (variance + ctx.eps).rsqrt()
        # As if the statistics were constants: three sums over the elements in one pass.
        through, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            gradient, x, weight, mean, variance, mean, invert, False, ctx.eps, [True, True, True]
        )
        sums = torch.cat([of_weight, of_bias])
        dist.all_reduce(sums)
        if ctx.present:
            # What flows through them: −w/σ · (Σ dy·x̂ / N · x̂ + Σ dy / N), which is again a normalisation of x.
            scale, shift = ((weight * invert).repeat(2) * sums / -count).chunk(2)
            through += F.batch_norm(x, mean, variance, scale, shift, training=False, eps=ctx.eps)
        return through, of_weight, of_bias, None, None


def _moments(x: Tensor, *, like: Tensor, present: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and variance of each channel (C,), and the number of values in one (), over all processes."""
    # Given running statistics, which stay as they are, those of a bf16 batch come in the precision of the layer.
    mean, variance = torch.batch_norm_update_stats(x, torch.zeros_like(like), torch.zeros_like(like), 0.0)
    count = mean.new_full((1,), x.numel() // x.shape[1] if present else 0)
    everyones = _all_gathered(torch.cat([count, mean, variance]))
    counts, means, variances = torch.split(everyones, [1, len(mean), len(mean)], dim=1)
    total = counts.sum()
    shares = counts / total
    joint = (shares * means).sum(dim=0)
    return joint, (shares * (variances + (means - joint).square())).sum(dim=0), total


def _all_gathered(own: Tensor) -> Tensor:
    """(…) of each process, all of the same shape → (size, …)."""
    everyones = own.new_empty(dist.get_world_size() * own.numel())
    dist.all_gather_single(everyones, own.flatten())
    return everyones.view(-1, *own.shape)
