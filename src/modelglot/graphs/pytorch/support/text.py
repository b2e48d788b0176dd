"""Counts of n-grams."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def count_grams(
    x: Tensor,
    kinds: Sequence[tuple[list[list[int]], list[int]]],
    size: int,
    skips: int,
    counts: bool,
    weights: list[float] | None,
    places: list[int],
) -> Tensor:
    """How often each gram is in each row, with up to ``skips`` numbers left out between its own; or whether it is."""
    made = torch.zeros(*x.shape[:-1], size, device=x.device)
    for grams, where in kinds:
        wanted = torch.tensor(grams, device=x.device)
        length = wanted.shape[1]
        for skip in range(skips + 1 if length > 1 else 1):
            reach = (length - 1) * (skip + 1) + 1
            if reach <= x.shape[-1]:
                seen = x.unfold(-1, reach, 1)[..., :: skip + 1]
                found = (seen.unsqueeze(-2) == wanted).all(-1).sum(-2)
                made = made.index_add(-1, torch.tensor(where, device=x.device), found.float())
    made = made if counts else (made > 0).float()
    if weights is not None:
        factor = torch.ones(size, device=x.device)
        factor[torch.tensor(places, device=x.device)] = torch.tensor(weights, device=x.device)
        made = made * factor
    return made
