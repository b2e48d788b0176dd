"""Convolutions with pads or places that torch's own do not have."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor


def same_pads(
    sizes: Sequence[int], kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int], upper: bool
) -> list[int]:
    """Pads for `F.pad` that give ``ceil(size / stride)`` results on every axis; an odd one goes to the end if upper."""
    made = []
    for size, k, s, d in reversed(list(zip(sizes, kernel, stride, dilation))):
        total = max((-(-size // s) - 1) * s + (k - 1) * d + 1 - size, 0)
        made += [total // 2, total - total // 2] if upper else [total - total // 2, total // 2]
    return made


def conv_transpose(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    more: Sequence[int],
    pads: Sequence[int] | None,
    shape: Sequence[int] | None,
    lower: bool,
) -> Tensor:
    """All of the results, of which pads then cut some. Without pads these follow from the shape of the output."""
    rank = len(stride)
    function = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[rank - 1]
    made = function(x, weight, None, stride=tuple(stride), groups=groups, dilation=tuple(dilation))
    for axis in range(rank):
        size = made.shape[axis + 2] + more[axis]
        want = shape[axis - rank] if shape is not None else x.shape[axis + 2] * stride[axis]
        if shape is not None or pads is None:
            total = size - want
            first = max(total - total // 2 if lower else total // 2, 0)
            cut = (first, total - first)
        else:
            cut = (pads[axis], pads[axis + rank])
        behind = rank - 1 - axis
        made = F.pad(made, (0, 0) * behind + (-cut[0], more[axis] - cut[1]))
    return made if bias is None else made + bias.reshape(-1, *[1] * rank)


def deform_conv(
    x: Tensor,
    weight: Tensor,
    offset: Tensor,
    bias: Tensor | None,
    mask: Tensor | None,
    stride: Sequence[int],
    pads: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    offset_groups: int,
) -> Tensor:
    """Every element of the kernel looks at a place of its own, between pixels, zero outside of the image."""
    batch, channels, height, width = x.shape
    kernel_h, kernel_w = weight.shape[2:]
    out_h, out_w = offset.shape[2:]
    taps = kernel_h * kernel_w
    offset = offset.reshape(batch, offset_groups, taps, 2, out_h, out_w)
    number = torch.arange(taps, device=x.device).reshape(-1, 1, 1)
    rows = torch.arange(out_h, device=x.device).reshape(-1, 1) * stride[0] - pads[0]
    columns = torch.arange(out_w, device=x.device) * stride[1] - pads[1]
    y = rows + number // kernel_w * dilation[0] + offset[:, :, :, 0]
    x_at = columns + number % kernel_w * dilation[1] + offset[:, :, :, 1]
    pixels = x.reshape(batch * offset_groups, channels // offset_groups, height * width)
    seen = torch.zeros(1, dtype=x.dtype, device=x.device)
    top, left = y.floor(), x_at.floor()
    for row, column in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
        share = (1 - (y - row).abs()) * (1 - (x_at - column).abs())
        share = share * ((row >= 0) & (row < height) & (column >= 0) & (column < width))
        place = (row.clamp(0, height - 1) * width + column.clamp(0, width - 1)).long()
        place = place.reshape(batch * offset_groups, 1, -1).expand(-1, pixels.shape[1], -1)
        seen = seen + pixels.gather(2, place) * share.reshape(batch * offset_groups, 1, -1)
    seen = seen.reshape(batch, offset_groups, channels // offset_groups, taps, out_h * out_w)
    if mask is not None:
        seen = seen * mask.reshape(batch, offset_groups, 1, taps, out_h * out_w)
    seen = seen.reshape(batch, groups, channels // groups * taps, out_h * out_w)
    kernels = weight.reshape(groups, weight.shape[0] // groups, -1)
    made = (kernels @ seen).reshape(batch, weight.shape[0], out_h, out_w)
    return made if bias is None else made + bias.reshape(-1, 1, 1)


def causal_conv(
    x: Tensor, weight: Tensor, bias: Tensor | None, state: Tensor | None, silu: bool
) -> tuple[Tensor, Tensor]:
    """Each channel with its own kernel, which sees what was before; what the next call needs comes with it."""
    reach = weight.shape[2] - 1
    whole = F.pad(x, (reach, 0)) if state is None else torch.cat((state, x), dim=2)
    made = F.conv1d(whole, weight, bias, groups=x.shape[1])
    return F.silu(made) if silu else made, whole.narrow(2, whole.shape[2] - reach, reach)
