"""Codebooks of the IQ1, IQ2 and IQ3 blocks: which of their points lie near a group of levels that is none of them.

A key packs the levels of a group: 8 levels of 0..2 in two bits each, or 4 of 0..7 in three.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

import numpy as np

from modelglot.kernels.reference.grids import grid
from modelglot.kernels.reference.numbers import Array, F

# At how many of the least distances candidates are looked for.
_SHELLS = {"iq2_xxs": 2, "iq2_xs": 2, "iq2_s": 1, "iq1_s": 3, "iq3_xxs": 2, "iq3_s": 3}
_NONE = np.finfo(np.float32).max  # a sum must be below this to count


@dataclass(frozen=True)
class Codebook:
    """``index`` is the point of a key, or -1; then its candidates are ``lists[at[key]:][:count[key]]``, keys too."""

    bits: int
    keys: Array
    index: Array
    at: Array
    count: Array
    lists: Array


@cache
def codebook(name: str) -> Codebook:
    """Candidates are ordered by distance, then by index. Memory: less than 3 MB."""
    values, points = np.unique(grid(name), return_inverse=True)
    levels = points.reshape(grid(name).shape).astype(np.int16)
    bits, size = (2, 8) if levels.shape[1] == 8 else (3, 4)
    shifts = bits * np.arange(size)
    keys = (levels.astype(np.int32) << shifts).sum(axis=1)
    index, at, count = (np.full(1 << 16, fill, np.int32) for fill in (-1, 0, 0))
    index[keys] = np.arange(len(keys))
    lists: list[Any] = []
    total = 0
    for own in product(range(len(values)), repeat=size):
        key = int((np.array(own) << shifts).sum())
        if index[key] >= 0:
            continue
        away = ((levels - np.array(own, np.int16)) ** 2).sum(axis=1)
        limit = np.unique(away)[: _SHELLS[name]][-1]
        near = np.flatnonzero(away <= limit)
        lists.append(keys[near[np.argsort(away[near], kind="stable")]])
        at[key], count[key] = total, near.size
        total += near.size
    return Codebook(bits, keys, index, at, count, np.concatenate(lists))


def level(keys: Array, bits: int, k: int) -> Array:
    """Level ``k`` of every key."""
    return np.asarray(keys >> bits * k & ((1 << bits) - 1))


def nearest_points(book: Codebook, keys: Array, x: Array, w: Array, values: Array) -> Array:
    """Keys of points: those that are none become the candidate with the least weighted squared error.

    Of equals the first. ``x`` and ``w`` are (size, groups); ``values`` (levels, groups) is what the levels of a group
    stand for.
    """
    keys = keys.copy()
    off = np.flatnonzero(book.index[keys] < 0)
    if not off.size:
        return keys
    x, w, values = x[:, off], w[:, off], values[:, off]
    at, count = book.at[keys[off]], book.count[keys[off]]
    owner, begin = np.repeat(np.arange(off.size), count), np.cumsum(count) - count
    place = np.arange(owner.size) - begin[owner]
    candidates = book.lists[at[owner] + place]
    error = np.zeros(owner.size, np.float32)
    for k in range(len(x)):
        diff = values - x[k]
        error = error + (w[k] * diff * diff)[level(candidates, book.bits, k), owner]
    error = np.where(error < _NONE, error, F(_NONE))
    least = np.minimum.reduceat(error, begin)
    first = np.minimum.reduceat(np.where(error == least[owner], place, owner.size), begin)
    keys[off] = book.lists[at + first]
    return keys
