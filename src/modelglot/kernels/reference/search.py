"""The searches for scales: x is (elements, lanes), weights alike; results are (lanes,)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from modelglot.kernels.reference.numbers import TINY, Array, F, first, nearest, peaks, total


class Fit(NamedTuple):
    """x ~ scale * levels - minus; levels are int32 (elements, lanes)."""

    scale: Array
    minus: Array
    levels: Array


def fit_min(x: Array, w: Array, top: int, begin: float, step: float, steps: int, mad: bool, bounded: bool) -> Fit:
    """Levels 0..top and a minimum (Q2_K, Q4_K, Q5_K; Q4_1, Q5_1 with importances).

    The minimum found so far moves the next step's levels. ``mad``: absolute instead of squared errors. ``bounded``:
    the search with importances limits what it rounds.
    """
    sum_w, sum_x, high, low = total(w), total(w * x), x.max(axis=0), first(x, x.argmin(axis=0))
    low = np.where(low > 0, F(0), low)
    flat = high == low
    span = np.where(flat, F(1), high - low)

    def levels(size: Array, limited: bool) -> Array:
        v = size * (x - low)
        if limited:
            v = np.where(v > 0, np.minimum(v, F(top)), F(0))
        return np.clip(nearest(v), 0, top)

    def error_of(size: Array, offset: Array, chosen: Array) -> Array:
        diff = size * chosen.astype(np.float32) + offset - x
        return total(w * (np.abs(diff) if mad else diff * diff))

    size = F(top) / span
    scale, best_levels = F(1) / size, levels(size, False)
    best = error_of(scale, low, best_levels)
    for number in range(steps + 1):
        trial = (F(begin) + F(step) * F(number) + F(top)) / np.where(flat, F(1), high - low)
        chosen = levels(trial, bounded)
        level = chosen.astype(np.float32)
        sum_l, sum_l2, sum_xl = total(w * level), total(w * level * level), total(w * level * x)
        det = sum_w * sum_l2 - sum_l * sum_l
        found = (sum_w * sum_xl - sum_x * sum_l) / det
        offset = (sum_l2 * sum_x - sum_l * sum_xl) / det
        found = np.where(offset > 0, sum_xl / sum_l2, found)
        offset = np.where(offset > 0, F(0), offset)
        error = error_of(found, offset, chosen)
        better = (det > 0) & (error < best) & ~flat
        best, scale = np.where(better, error, best), np.where(better, found, scale)
        low, best_levels = np.where(better, offset, low), np.where(better, chosen, best_levels)
    return Fit(np.where(flat, F(0), scale), -low, np.where(flat, 0, best_levels))


def fit_scale(x: Array, w: Array, half: int) -> tuple[Array, Array]:
    """(scale, levels 0..2 * half - 1): the first guess and eighteen more (Q6_K; others with importances)."""
    peak = peaks(x)
    flat = np.abs(peak) < TINY
    peak = np.where(flat, F(1), peak)

    def trial(size: Array) -> tuple[Array, Array, Array]:
        chosen = np.clip(nearest(size * x), -half, half - 1)
        level = chosen.astype(np.float32)
        return chosen, total(w * x * level), total(w * level * level)

    levels, lx, l2 = trial(F(-half) / peak)
    scale = np.where(l2 != 0, lx / l2, F(0))
    best = scale * lx
    for step in (*range(-9, 0), *range(1, 10)):
        chosen, lx, l2 = trial(-(F(half) + F(0.1) * F(step)) / peak)
        better = (l2 > 0) & (lx * lx > best * l2)
        found = lx / l2
        scale, best = np.where(better, found, scale), np.where(better, found * lx, best)
        levels = np.where(better, chosen, levels)
    return np.where(flat, F(0), scale), np.where(flat, 0, levels + half)


def fit_by_steps(x: Array, half: int) -> tuple[Array, Array]:
    """(scale, levels): one level at a time while the fit improves, five rounds at most (Q3_K)."""
    flat = np.abs(x).max(axis=0) < TINY
    w = x * x
    level = np.clip(nearest(F(-half) / np.where(flat, F(1), peaks(x)) * x), -half, half - 1).astype(np.float32)
    lx, l2 = total(w * x * level), total(w * level * level)
    for _ in range(5):
        changed = False
        for i in range(len(x)):
            old = level[i]
            rest_lx, rest_l2 = lx - w[i] * x[i] * old, l2 - w[i] * old * old
            new = np.clip(nearest(x[i] * rest_l2 / rest_lx), -half, half - 1).astype(np.float32)
            new_lx, new_l2 = rest_lx + w[i] * x[i] * new, rest_l2 + w[i] * new * new
            better = (rest_lx > 0) & (new != old) & (new_l2 > 0) & (new_lx * new_lx * l2 > lx * lx * new_l2)
            level[i] = np.where(better, new, old)
            lx, l2 = np.where(better, new_lx, lx), np.where(better, new_l2, l2)
            changed = changed or bool(better.any())
        if not changed:
            break
    scale = np.where(l2 > 0, lx / l2, F(0))
    return np.where(flat, F(0), scale), np.where(flat, 0, level.astype(np.int32) + half)


def fit_scales(x: Array, w: Array, top: int) -> tuple[Array, Array]:
    """(size, levels) of a super-block's scales or minimums, with importances; levels are bytes, mostly 0..top."""
    high = np.zeros(x.shape[1], np.float32)
    for row in x:
        high = np.where(high > row, high, row)
    flat = high < TINY
    high = np.where(flat, F(1), high)
    size = F(top) / high
    diff = x - F(1) / size * (nearest(size * x) & 255).astype(np.float32)
    best = total(w * diff * diff)
    for step in (*range(-4, 0), *range(1, 5)):
        trial = (F(0.1) * F(step) + F(top)) / high
        diff = x - F(1) / trial * np.minimum(nearest(trial * x), top).astype(np.float32)
        error = total(w * diff * diff)
        better = error < best
        best, size = np.where(better, error, best), np.where(better, trial, size)
    number = np.minimum(nearest(size * x), top)
    level = number.astype(np.float32)
    lx, l2, levels = total(w * x * level), total(w * level * level), number & 255
    for _ in range(5):
        changed = False
        for i in range(len(x)):
            old = levels[i].astype(np.float32)
            rest_lx, rest_l2 = lx - w[i] * x[i] * old, l2 - w[i] * old * old
            number = np.minimum(nearest(x[i] * rest_l2 / rest_lx), top)
            new = number.astype(np.float32)
            new_lx, new_l2 = rest_lx + w[i] * x[i] * new, rest_l2 + w[i] * new * new
            better = (rest_lx > 0) & (rest_l2 > 0) & (number != levels[i]) & (new_lx * new_lx * l2 > lx * lx * new_l2)
            levels[i] = np.where(better, number & 255, levels[i])
            lx, l2 = np.where(better, new_lx, lx), np.where(better, new_l2, l2)
            changed = changed or bool(better.any())
        if not changed:
            break
    return np.where(flat, F(0), np.where(l2 > 0, lx / l2, F(0))), np.where(flat, 0, levels)
