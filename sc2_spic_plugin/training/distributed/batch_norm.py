"""Batch norm whose statistics are those of the global batch; torch's own refuses tensors on the CPU."""

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ...errors import ConfigError
from ...models.frozen import EvalLock
from ...ops.ranks import stacked, sum_in_place, world_size

__all__ = ["share_batch_norm"]


def share_batch_norm(modules: Iterable[nn.Module]) -> None:
    """Makes every batch norm that can be in training mode, in place, one over all processes; its state stays.

    Raises:
        ConfigError: a batch norm of a kind that has its own way to compute.
    """
    for module in modules:
        for name, part in module.named_modules():
            if isinstance(part.__dict__.get("train"), EvalLock) or isinstance(part, _Global | nn.SyncBatchNorm):
                continue
            if type(part) in _GLOBAL:
                part.__class__ = _GLOBAL[type(part)]
            elif isinstance(part, _BatchNorm):
                raise ConfigError(
                    f"`{name}` is a {type(part).__name__}, whose statistics several processes cannot share; train in "
                    "one process, or a network with torch's own batch norm."
                )


class _Global(_BatchNorm):
    """In training mode, the statistics of the images of all processes; in eval mode, as ever."""

    def forward(self, values: Tensor) -> Tensor:
        """Normalizes (B, C, ...), where B may differ between processes."""
        if not self.training or world_size() == 1:
            return super().forward(values)
        self._check_input_dim(values)
        output, mean, variance, count = _Normalize.apply(values, self.weight, self.bias, self.eps)
        if self.track_running_stats:
            self._follow(mean, variance * (count / (count - 1)))
        return output

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        """Moves the running statistics as `_BatchNorm` does."""
        self.num_batches_tracked.add_(1)  # type: ignore[union-attr, operator]
        factor = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum  # type: ignore[arg-type]
        for running, value in ((self.running_mean, mean), (self.running_var, variance)):
            running.mul_(1 - factor).add_(value, alpha=factor)  # type: ignore[union-attr]


class _Global1d(_Global, nn.BatchNorm1d):
    pass


class _Global2d(_Global, nn.BatchNorm2d):
    pass


class _Global3d(_Global, nn.BatchNorm3d):
    pass


_GLOBAL: dict[type, type] = {nn.BatchNorm1d: _Global1d, nn.BatchNorm2d: _Global2d, nn.BatchNorm3d: _Global3d}


class _Normalize(torch.autograd.Function):
    """Batch normalization with one exchange forward and one backward; gradients of weight and bias stay local sums."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Any:
        wide = values if values.dtype == torch.float64 else values.float()
        channels = values.shape[1]
        variance, mean = torch.var_mean(wide, _but_channels(values), correction=0)
        own = wide.new_full((1,), values.numel() / channels)
        means, variances, counts = stacked(torch.cat([mean, variance, own])).split([channels, channels, 1], dim=1)
        count = counts.sum()
        mean = (means * counts).sum(0) / count
        variance = ((variances + (means - mean).square()) * counts).sum(0) / count
        ctx.save_for_backward(values, weight, mean, (variance + eps).rsqrt(), count)
        ctx.mark_non_differentiable(mean, variance, count)
        output = F.batch_norm(wide, mean, variance, _like(weight, wide), _like(bias, wide), False, 0.0, eps)
        return output.to(values.dtype), mean, variance, count

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        values, weight, mean, inverse, count = ctx.saved_tensors
        shape = [1, -1, *[1] * (values.dim() - 2)]
        gradient = gradients[0].to(mean.dtype)
        normal = (values.to(mean.dtype) - mean.view(shape)) * inverse.view(shape)
        of_bias = gradient.sum(_but_channels(values))
        of_weight = (gradient * normal).sum(_but_channels(values))
        of_values = None
        if ctx.needs_input_grad[0]:
            sums = torch.stack([of_bias, of_weight])
            sum_in_place([sums])
            bias_mean, weight_mean = (sums / count).unbind()
            scale = inverse if weight is None else inverse * weight.to(mean.dtype)
            of_values = gradient - bias_mean.view(shape) - normal * weight_mean.view(shape)
            of_values = (of_values * scale.view(shape)).to(values.dtype)
        if weight is None:
            return of_values, None, None, None
        return of_values, of_weight.to(weight.dtype), of_bias.to(weight.dtype), None


def _but_channels(values: Tensor) -> list[int]:
    return [0, *range(2, values.dim())]


def _like(parameter: Tensor | None, values: Tensor) -> Tensor | None:
    return None if parameter is None else parameter.to(values.dtype)
