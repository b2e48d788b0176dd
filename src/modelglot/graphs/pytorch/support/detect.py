"""Boxes: which of them to keep, and what an image has inside of them."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def suppress(boxes: Tensor, scores: Tensor, most: int, overlap: float, least: float | None, centred: bool) -> Tensor:
    """(batch, class, box) of the best boxes of each class that overlap no better one by more than ``overlap``."""
    kept = []
    for batch in range(scores.shape[0]):
        corners = corners_of(boxes[batch], centred)
        for kind in range(scores.shape[1]):
            values = scores[batch, kind]
            order = torch.argsort(values, descending=True, stable=True)
            if least is not None:
                order = order[values[order] > least]
            chosen: list[int] = []
            while order.numel() and len(chosen) < most:
                best, order = order[0], order[1:]
                chosen.append(int(best))
                order = order[shared(corners[best], corners[order]) <= overlap]
            kept += [(batch, kind, box) for box in chosen]
    return torch.tensor(kept, dtype=torch.int64, device=boxes.device).reshape(-1, 3)


def corners_of(boxes: Tensor, centred: bool) -> Tensor:
    """The lower and the upper corner of each box, which may be given as centre and size."""
    if centred:
        middle, half = boxes[:, :2], boxes[:, 2:] / 2
        return torch.cat((middle - half, middle + half), dim=1)
    return torch.cat((torch.minimum(boxes[:, :2], boxes[:, 2:]), torch.maximum(boxes[:, :2], boxes[:, 2:])), dim=1)


def shared(box: Tensor, others: Tensor) -> Tensor:
    """Intersection over union."""
    sides = (torch.minimum(box[2:], others[:, 2:]) - torch.maximum(box[:2], others[:, :2])).clamp(min=0)
    common = sides.prod(1)
    whole = (box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(1) - common
    return torch.where(whole > 0, common / whole, torch.zeros_like(whole))


def roi_align(
    x: Tensor,
    boxes: Tensor,
    images: Tensor,
    size: tuple[int, int],
    ratio: int,
    scale: float,
    half: bool,
    mode: str,
) -> Tensor:
    """The mean, or the largest, of samples between pixels in each cell of a box."""
    made = []
    for box, image in zip(boxes, images.tolist()):
        left, top, right, bottom = (box * scale - (0.5 if half else 0.0)).tolist()
        height, width = bottom - top, right - left
        if not half:
            height, width = max(height, 1.0), max(width, 1.0)
        rows, columns = ((ratio or math.ceil(side / cells)) for side, cells in ((height, size[0]), (width, size[1])))
        y = top + (torch.arange(size[0] * rows, dtype=x.dtype, device=x.device) + 0.5) * height / (size[0] * rows)
        x_at = left + (torch.arange(size[1] * columns, dtype=x.dtype, device=x.device) + 0.5) * width / (
            size[1] * columns
        )
        corners = between_pixels(x[image], y, x_at)
        corners = corners.reshape(4, x.shape[1], size[0], rows, size[1], columns)
        made.append(corners.amax((0, 3, 5)) if mode == "max" else corners.sum(0).mean((2, 4)))
    return torch.stack(made) if made else x.new_zeros((0, x.shape[1], *size))


def between_pixels(image: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """What each of the four pixels around gives; nothing more than a pixel outside of the image."""
    height, width = image.shape[1:]
    outside = ((y < -1) | (y > height))[:, None] | ((x < -1) | (x > width))[None, :]
    y, x = y.clamp(0, height - 1), x.clamp(0, width - 1)
    top, left = y.floor().long(), x.floor().long()
    bottom, right = (top + 1).clamp(max=height - 1), (left + 1).clamp(max=width - 1)
    down, over = (y - top)[:, None], (x - left)[None, :]
    parts = (
        (1 - down) * (1 - over) * image[:, top][:, :, left],
        (1 - down) * over * image[:, top][:, :, right],
        down * (1 - over) * image[:, bottom][:, :, left],
        down * over * image[:, bottom][:, :, right],
    )
    return torch.stack([torch.where(outside, torch.zeros_like(part), part) for part in parts])


def roi_max_pool(x: Tensor, boxes: Tensor, size: tuple[int, int], scale: float) -> Tensor:
    """The largest pixel of each cell of a box; boxes are (image, left, top, right, bottom)."""
    made = x.new_zeros(boxes.shape[0], x.shape[1], *size)
    for number, box in enumerate(boxes.tolist()):
        left, top, right, bottom = (math.floor(edge * scale + 0.5) for edge in box[1:])
        height, width = (max(bottom - top + 1, 1) / size[0], max(right - left + 1, 1) / size[1])
        for row in range(size[0]):
            for column in range(size[1]):
                rows = [
                    min(max(top + e, 0), x.shape[2]) for e in (math.floor(row * height), math.ceil((row + 1) * height))
                ]
                columns = [
                    min(max(left + e, 0), x.shape[3])
                    for e in (math.floor(column * width), math.ceil((column + 1) * width))
                ]
                cell = x[int(box[0]), :, rows[0] : rows[1], columns[0] : columns[1]]
                if cell.numel():
                    made[number, :, row, column] = cell.amax((1, 2))
    return made
