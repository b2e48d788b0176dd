"""Resizing axis by axis, each a product with a matrix of weights."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def resize(
    x: Tensor,
    scales: Sequence[float] | None,
    sizes: Sequence[int] | None,
    mode: str,
    where: str,
    axes: Sequence[int] | None = None,
    nearest: str = "round_prefer_floor",
    a: float = -0.75,
    exclude_outside: bool = False,
    antialias: bool = False,
    policy: str = "stretch",
    roi: Sequence[float] | None = None,
    beyond: float = 0.0,
) -> Tensor:
    """ONNX's Resize: ``where`` maps places of the result to places of the input, ``mode`` weighs what is there."""
    used = [axis % x.ndim for axis in axes] if axes is not None else list(range(x.ndim))
    if sizes is not None:
        scales = [size / x.shape[axis] for axis, size in zip(used, sizes)]
        if policy != "stretch":
            scale = min(scales) if policy == "not_larger" else max(scales)
            scales = [scale] * len(used)
            sizes = [math.floor(scale * x.shape[axis] + 0.5) for axis in used]
    factors = list(scales or ())
    made = x if x.dtype == torch.float64 or mode == "nearest" else x.float()
    outside = None
    for number, axis in enumerate(used):
        scale = factors[number]
        size = sizes[number] if sizes is not None else math.floor(x.shape[axis] * scale)
        crop = (roi[number], roi[number + len(used)]) if roi is not None else (0.0, 1.0)
        if size == x.shape[axis] and scale == 1 and crop == (0.0, 1.0):
            continue
        place = source_places(size, x.shape[axis], scale, where, crop).to(x.device)
        if where == "tf_crop_and_resize":
            off = ((place < 0) | (place > x.shape[axis] - 1)).reshape(-1, *[1] * (x.ndim - 1 - axis))
            outside = off if outside is None else outside | off
        if mode == "nearest":
            rounded = {
                "round_prefer_floor": torch.ceil(place - 0.5),
                "round_prefer_ceil": torch.floor(place + 0.5),
                "floor": torch.floor(place),
                "ceil": torch.ceil(place),
            }[nearest]
            made = made.index_select(axis, rounded.long().clamp(0, x.shape[axis] - 1))
            continue
        stretch = max(1 / scale, 1.0) if antialias else 1.0
        weights = tap_weights(place, x.shape[axis], mode, a, stretch, exclude_outside).to(made.dtype)
        made = torch.movedim(torch.movedim(made, axis, -1) @ weights.T, -1, axis)
    if outside is not None:
        made = torch.where(outside, torch.full((), beyond, dtype=made.dtype, device=x.device), made)
    if not x.is_floating_point():
        made = made.round()
    return made.to(x.dtype)


def source_places(size: int, source: int, scale: float, where: str, crop: tuple[float, float]) -> Tensor:
    """Where each element of an axis of ``size`` comes from, in elements of the source."""
    index = torch.arange(size, dtype=torch.float64)
    width = scale * source
    if where == "asymmetric":
        return index / scale
    if where == "align_corners":
        return index * (source - 1) / (width - 1) if width != 1 else index * 0
    if where == "tf_crop_and_resize":
        start, end = crop
        if size > 1:
            return start * (source - 1) + index * (end - start) * (source - 1) / (size - 1)
        return index * 0 + 0.5 * (start + end) * (source - 1)
    if where == "pytorch_half_pixel" and size == 1:
        return index * 0
    half = (index + 0.5) / scale - 0.5
    return half + source / 2 * (1 - size / width) if where == "half_pixel_symmetric" else half


def tap_weights(place: Tensor, source: int, mode: str, a: float, stretch: float, exclude_outside: bool) -> Tensor:
    """The weight of each element of the source for each place; the border repeats unless it is excluded."""
    reach = math.ceil((1 if mode == "linear" else 2) * stretch)
    near = torch.floor(place).unsqueeze(1) + torch.arange(
        1 - reach, reach + 1, dtype=torch.float64, device=place.device
    )
    far = ((place.unsqueeze(1) - near) / stretch).abs()
    if mode == "linear":
        weights = (1 - far).clamp(min=0)
    else:
        inner = ((a + 2) * far - (a + 3)) * far**2 + 1
        outer = ((a * far - 5 * a) * far + 8 * a) * far - 4 * a
        weights = torch.where(far <= 1, inner, torch.where(far < 2, outer, 0.0))
    if exclude_outside:
        weights = torch.where((near < 0) | (near >= source), 0.0, weights)
    if exclude_outside or stretch > 1:
        weights = weights / weights.sum(1, keepdim=True)
    made = torch.zeros(place.shape[0], source, dtype=torch.float64, device=place.device)
    return made.scatter_add(1, near.long().clamp(0, source - 1), weights)


def sample(x: Tensor, points: Tensor, mode: str, border: str, corners: bool) -> Tensor:
    """`F.grid_sample` for any number of axes and any mode: ``points`` are (x, y ...) in -1 ... 1."""
    rank = x.ndim - 2
    made_shape = (*x.shape[:2], *points.shape[1:-1])
    flat = points.reshape(points.shape[0], -1, rank)
    total = torch.zeros(x.shape[0], x.shape[1], flat.shape[1], dtype=x.dtype, device=x.device)
    source = x.flatten(2)
    taps = []
    for axis in range(rank):
        size = x.shape[axis + 2]
        at = flat[..., rank - 1 - axis]
        at = (at + 1) / 2 * (size - 1) if corners else ((at + 1) * size - 1) / 2
        if mode == "nearest":
            taps.append([(at.round(), torch.ones_like(at))])
            continue
        low = at.floor()
        part = at - low
        if mode == "linear":
            taps.append([(low, 1 - part), (low + 1, part)])
        else:
            taps.append([(low + step, cubic_weight((part - step).abs(), -0.75)) for step in (-1, 0, 1, 2)])
    for numbers in torch.cartesian_prod(*[torch.arange(len(tap)) for tap in taps]).reshape(-1, rank).tolist():
        weight, place = torch.ones_like(flat[..., 0]), torch.zeros(flat.shape[:2], dtype=torch.int64, device=x.device)
        for axis, number in enumerate(numbers):
            at, part = taps[axis][number]
            size = x.shape[axis + 2]
            if border == "zeros":
                weight = weight * ((at >= 0) & (at < size))
            elif border == "reflection":
                at = reflected(at, size, corners)
            place = place * size + at.clamp(0, size - 1).long()
            weight = weight * part
        seen = source.gather(2, place.unsqueeze(1).expand(-1, x.shape[1], -1))
        total = total + seen * weight.unsqueeze(1)
    return total.reshape(made_shape)


def cubic_weight(far: Tensor, a: float) -> Tensor:
    inner = ((a + 2) * far - (a + 3)) * far**2 + 1
    outer = ((a * far - 5 * a) * far + 8 * a) * far - 4 * a
    return torch.where(far <= 1, inner, torch.where(far < 2, outer, torch.zeros_like(far)))


def reflected(at: Tensor, size: int, corners: bool) -> Tensor:
    """Places folded back into the image, about the middle of the border pixels or about their edge."""
    low, high = (0.0, size - 1.0) if corners else (-0.5, size - 0.5)
    span = high - low
    if span == 0:
        return at * 0
    folded = (at - low).abs() % (2 * span)
    return torch.where(folded > span, 2 * span - folded, folded) + low
