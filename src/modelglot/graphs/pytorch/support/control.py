"""What loops give."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def stacked(parts: list[Tensor], shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """One slice for each iteration; ``shape`` and ``dtype`` are those of a slice, for no iterations."""
    return torch.stack(parts) if parts else torch.empty((0, *shape), dtype=dtype)


def insert(sequence: list[Tensor], x: Tensor, place: int | None) -> list[Tensor]:
    at = len(sequence) if place is None else place if place >= 0 else place + len(sequence)
    return [*sequence[:at], x, *sequence[at:]]


def erase(sequence: list[Tensor], place: int | None) -> list[Tensor]:
    at = range(len(sequence))[-1 if place is None else place]
    return [*sequence[:at], *sequence[at + 1 :]]


def split_sequence(x: Tensor, sizes: int | list[int] | None, dim: int, keepdim: bool) -> list[Tensor]:
    """Parts of one size, of given sizes, or single slices."""
    if sizes is None:
        return [part if keepdim else part.squeeze(dim) for part in torch.split(x, 1, dim)]
    return list(torch.split(x, sizes, dim))
