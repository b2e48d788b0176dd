"""IQ1_S and IQ1_M blocks: the cut in three, the nearest points of the codebook, and where the bits go."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modelglot.kernels.reference.codebooks import codebook, level, nearest_points
from modelglot.kernels.reference.numbers import Array, F, bytes_of, halves, little, nearest, total
from modelglot.kernels.reference.thirds import DOWN, UP, Cut, cut_halves, cut_whole


@dataclass(frozen=True)
class Thirds:
    """Of every sub-block: scale, index (groups, n) of the codebook, groups moved down, and what is 0."""

    scale: Array
    index: Array
    moved: Array
    none: Array


def values_of(keys: Array, down: Array) -> Array:
    """(groups, n) keys -> (elements, n) numbers."""
    table = np.where(down[None], DOWN[:, None, None], UP[:, None, None])
    chosen = [np.take_along_axis(table, level(keys, 2, k)[None], 0)[0] for k in range(8)]
    return np.asarray(np.stack(chosen, axis=1).reshape(-1, keys.shape[1]))


def fit_thirds(x: Array, w: Array, smallest: float) -> Thirds:
    """x and w: (32 or 16, lanes)."""
    book, high = codebook("iq1_s"), np.abs(x).max(axis=0)
    order, groups = np.argsort(x, axis=0, kind="stable"), len(x) // 8
    cut = Cut(high)
    sorted_x, sorted_w = np.take_along_axis(x, order, 0), np.take_along_axis(w, order, 0)
    if groups == 4:
        cut_whole(sorted_x, sorted_w, cut)
    else:
        cut_halves(sorted_x, sorted_w, order, cut)
    rank = np.arange(len(x))[:, None]
    levels = np.zeros(x.shape, np.int64)
    np.put_along_axis(levels, order, (rank >= cut.first).astype(np.int64) + (rank >= cut.second), 0)
    turned = cut.scale < 0
    levels, scale = np.where(turned, 2 - levels, levels), np.abs(cut.scale)
    moved = np.where(turned, cut.moved ^ ((1 << groups) - 1), cut.moved)
    down = (moved[None] >> np.arange(groups)[:, None] & 1).astype(bool)
    raw = (levels.reshape(groups, 8, -1) << 2 * np.arange(8)[None, :, None]).sum(axis=1)
    keys = np.array([
        nearest_points(book, raw[k], x[8 * k : 8 * k + 8], w[8 * k : 8 * k + 8],
                       scale * np.where(down[k], DOWN[:, None], UP[:, None]))
        for k in range(groups)
    ])  # fmt: skip
    q = values_of(keys, down)
    qx, q2 = total(w * q * x), total(w * q * q)
    changed = (keys != raw).any(axis=0) & (qx > 0) & (q2 > 0)
    none = cut.none | (high < F(smallest))
    return Thirds(
        np.where(none, F(0), np.where(changed, qx / q2, scale)), np.where(none, 0, book.index[keys]),
        np.where(none, 0, moved), none,
    )  # fmt: skip


def third_weights(x: Array, w: Array | None) -> Array:
    if w is None:
        return x * x
    mean = F(2) * total((x * x).T) / F(256)
    return np.asarray(w * np.sqrt(mean[:, None] + x * x))


def scale_steps(scale: Array) -> tuple[Array, Array]:
    """(d, steps 0..7) of (blocks, subs)."""
    d = scale.max(axis=1) / F(15)
    return d, np.clip(nearest(F(0.5) * ((F(1) / d)[:, None] * scale - F(1))), 0, 7)


def quantize_iq1_s(x: Array, w: Array | None) -> Array:
    found = fit_thirds(x.reshape(-1, 32).T, third_weights(x, w).reshape(-1, 32).T, 1e-12)
    scale, index = found.scale.reshape(-1, 8), found.index.T.reshape(-1, 8, 4)
    d, steps = scale_steps(scale)
    steps = np.where(d[:, None] == 0, 0, steps | np.where(found.moved.reshape(scale.shape) != 0, 8, 0))
    high = (index >> 8 << 3 * np.arange(4)).sum(axis=2) | steps << 12
    return bytes_of(halves(d * F(1.125)), index & 255, little(high, "<u2"))


def quantize_iq1_m(x: Array, w: Array | None) -> Array:
    book, weights = codebook("iq1_s"), third_weights(x, w)
    found = fit_thirds(x.reshape(-1, 16).T, weights.reshape(-1, 16).T, 1e-7)
    scale, moved = found.scale.reshape(-1, 16), found.moved.reshape(-1, 16)
    index, none = found.index.T.reshape(-1, 16, 2), scale.max(axis=1) == 0
    d, steps = scale_steps(scale)
    down = (found.moved[None] >> np.array([[0], [1]]) & 1).astype(bool)
    q = values_of(book.keys[found.index], down) * (2 * steps.reshape(-1) + 1).astype(np.float32)
    q = q.T.reshape(x.shape)
    qx, q2 = total((weights * q * x).T), total((weights * q * q).T)
    d = np.where(q2 > 0, qx / q2, d) * F(1.1125)
    half = np.where(none, 0, halves(d).view("<u2").reshape(-1)).astype(np.int32)
    parts = steps.reshape(-1, 4, 4)
    packed = (parts << 3 * np.arange(4)).sum(axis=2) | (half[:, None] >> 4 * np.arange(4) & 15) << 12
    bits = np.where(none[:, None], 0, (moved & 1) << 3 | (moved & 2) << 6)
    high = index[..., 0] >> 8 | (index[..., 1] >> 8) << 4 | bits
    packed = np.where(none[:, None], 0, packed)
    return bytes_of(index & 255, high, little(packed, "<u2"))
