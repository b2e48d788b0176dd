"""IQ2 and IQ3: x ~ scale * (2 * level + 1) with signs apart, the levels of each group a point of a codebook."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from modelglot.kernels.reference.codebooks import Codebook, level, nearest_points
from modelglot.kernels.reference.numbers import Array, F, nearest, total
from modelglot.kernels.reference.search import fit_scales


@dataclass(frozen=True)
class Search:
    """How a type searches.

    ``sub``: elements that share a scale; ``steps`` guesses each way, ``step`` apart; ``smallest``: sub-blocks whose
    numbers are all smaller become 0; ``even``: minus signs come in pairs, eight by eight; ``guessed``: begin from the
    scale of levels without a codebook; ``whole``: where a group is fitted again, so are all of its sub-block.
    ``half``: importances count half the mean square that others do; ``factor``: of the stored scale.
    """

    sub: int
    steps: int
    step: float
    smallest: float
    even: bool
    factor: float = 1.0
    guessed: bool = False
    whole: bool = False
    half: bool = False


SEARCHES = {
    "iq2_xxs": Search(32, 6, 0.1, 1e-15, True, guessed=True, whole=True, half=True),
    "iq2_xs": Search(16, 9, 0.1, 1e-15, True, half=True),
    "iq2_s": Search(16, 9, 0.1, 1e-8, False, 0.9875),
    "iq3_xxs": Search(32, 15, 0.2, 1e-8, True, 1.0125),
    "iq3_s": Search(32, 9, 0.2, 2.0**-149, False, 1.033, whole=True),
}


class Found(NamedTuple):
    """Of every sub-block: scale, keys (groups, n), a byte of signs for eight elements (eights, n), and what is 0."""

    scale: Array
    keys: Array
    signs: Array
    flat: Array


def without_signs(x: Array, w: Array, even: bool) -> tuple[Array, Array]:
    """(|x|, signs); for pairs of signs the least weighty number of an odd eight takes the other one."""
    parts = x.reshape(-1, 8, x.shape[1])
    minus = ~(parts >= 0)
    size = np.where(minus, -parts, parts)
    if even:
        least = (w.reshape(parts.shape) * parts * parts).argmin(axis=1)
        odd = minus.sum(axis=1) % 2 == 1
        turned = (np.arange(8)[None, :, None] == least[:, None]) & odd[:, None]
        size, minus = np.where(turned, -size, size), minus ^ turned
    signs = (minus << np.arange(8)[None, :, None]).sum(axis=1)
    return size.reshape(x.shape), signs & 127 if even else signs


def fit_lattice(how: Search, book: Codebook, x: Array, w: Array) -> Found:
    """x and w: (sub, lanes)."""
    size, levels = (8, 3) if book.bits == 2 else (4, 8)
    top, n = F(2 * levels - 1), x.shape[1]
    x, signs = without_signs(x, w, how.even)
    roots, high = np.sqrt(w), x.max(axis=0)
    flat = high < F(how.smallest)
    scale, span = high / top, high
    if how.guessed:
        scale = fit_scales(x, w, levels + 1)[0]
        span = scale * F(levels)
        flat = flat | (span <= 0)
    span = np.where(flat, F(1), span)

    def trial(inverse: Array, value: Array, fixed: Array | None) -> tuple[Array, Array]:
        """(keys, where they were points before any search); lanes of ``fixed`` keep theirs."""
        raw = np.clip(nearest(F(0.5) * (inverse * x - F(1))), 0, levels - 1).reshape(-1, size, n)
        raw = np.asarray(sum(raw[:, k] << book.bits * k for k in range(size)))
        if fixed is not None:
            raw = np.where(fixed, 0, raw)
        odd = np.arange(1, 2 * levels, 2, dtype=np.float32)[:, None]
        found = np.array([
            nearest_points(book, key, x[i : i + size], roots[i : i + size], value * odd)
            for i, key in zip(range(0, how.sub, size), raw, strict=True)
        ])  # fmt: skip
        return found, found == raw

    def sums(keys: Array) -> tuple[Array, Array]:
        q = np.array([2 * level(key, book.bits, k) + 1 for key in keys for k in range(size)]).astype(np.float32)
        return total(w * x * q), total(w * q * q)

    best, keys = np.zeros(n, np.float32), np.zeros((how.sub // size, n), np.int64)
    points = np.full(keys.shape, not how.whole)
    for step in range(-how.steps, how.steps + 1):
        inverse = (top + F(step) * F(how.step)) / span
        found, on = trial(inverse, F(1) / inverse, flat[None])
        qx, q2 = sums(found)
        better = (q2 > 0) & (qx * qx > best * q2) & ~flat
        scale = np.where(better, qx / q2, scale)
        best = np.where(better, scale * qx, best)
        keys, points = np.where(better, found, keys), np.where(better, on, points)
    if how.guessed:
        points[:] = False
    again = ~points.all(axis=0) & (scale > 0) & ~flat
    wanted = again & (~points | how.whole)
    found, _ = trial(F(1) / np.where(again, scale, F(1)), scale, ~wanted)
    keys = np.where(wanted, found, keys)
    qx, q2 = sums(keys)
    scale = np.where(again & (q2 > 0), qx / q2, scale)
    return Found(np.where(flat, F(0), scale), keys, signs, flat)
