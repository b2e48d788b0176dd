"""Normalization that torch has not, or not with all its results."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor


def batch_norm_training(
    x: Tensor, scale: Tensor, offset: Tensor, mean: Tensor, variance: Tensor, eps: float, momentum: float
) -> tuple[Tensor, Tensor, Tensor]:
    """By the statistics of the batch; running ones come with it."""
    axes = [axis for axis in range(x.ndim) if axis != 1]
    now, spread = x.mean(axes), x.var(axes, correction=0)
    made = F.batch_norm(x, now, spread, scale, offset, eps=eps)
    return made, mean * momentum + now * (1 - momentum), variance * momentum + spread * (1 - momentum)


def layer_norm(x: Tensor, scale: Tensor, offset: Tensor | None, axis: int, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """With the mean and the inverse of the deviation, in float32."""
    axes = list(range(axis % x.ndim, x.ndim))
    wide = x if x.dtype == torch.float64 else x.float()
    mean = wide.mean(axes, keepdim=True)
    inverse = torch.rsqrt((wide - mean).square().mean(axes, keepdim=True) + eps)
    made = ((wide - mean) * inverse).to(x.dtype) * scale
    return made if offset is None else made + offset, mean, inverse


def rms_norm(x: Tensor, scale: Tensor, axis: int, eps: float) -> Tensor:
    """By the root of the mean of squares, in float32."""
    axes = list(range(axis % x.ndim, x.ndim))
    wide = x if x.dtype == torch.float64 else x.float()
    made = wide * torch.rsqrt(wide.square().mean(axes, keepdim=True) + eps)
    return (made.to(x.dtype) * scale).to(scale.dtype)


def scale_groups(x: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
    """A scale and an offset for each group of channels."""
    each = x.shape[1] // scale.shape[0]
    shape = (-1, *[1] * (x.ndim - 2))
    return x * scale.repeat_interleave(each).reshape(shape) + offset.repeat_interleave(each).reshape(shape)


def local_response_norm(x: Tensor, size: int, alpha: float, beta: float, k: float) -> Tensor:
    """Over an even number of channels the one more is behind."""
    square = F.pad(x.square().unsqueeze(1), (0, 0) * (x.ndim - 2) + ((size - 1) // 2, size // 2))
    total = square.unfold(2, size, 1).sum(-1).squeeze(1)
    return x / (k + alpha / size * total) ** beta


def dropout(x: Tensor, ratio: float, training: bool) -> tuple[Tensor, Tensor]:
    """Elements by chance, and which of them were kept."""
    kept = torch.rand_like(x) >= ratio if training else torch.ones_like(x, dtype=torch.bool)
    return (x * kept / (1 - ratio) if training and ratio < 1 else x * kept), kept


def lp_normalize(x: Tensor, p: int, dim: int) -> Tensor:
    """Zero stays zero."""
    norm = torch.linalg.vector_norm(x, p, dim=dim, keepdim=True)
    return torch.where(norm == 0, torch.zeros_like(x), x / norm)


def mean_variance_normalize(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    centred = x - x.mean(axes, keepdim=True)
    return centred / (centred.square().mean(axes, keepdim=True).sqrt() + 1e-9)
