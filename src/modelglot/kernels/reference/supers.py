"""Super-blocks of 256: Q2_K to Q6_K, IQ4_XS; and IQ4_NL alone. x: (blocks, elements) float32, w alike or None."""

from __future__ import annotations

import numpy as np

from modelglot.kernels.reference.numbers import (
    TINY,
    Array,
    F,
    bytes_of,
    halves,
    inverse,
    nearest,
    nibbles,
    peaks,
    stored,
    total,
)
from modelglot.kernels.reference.search import Fit, fit_by_steps, fit_min, fit_scale, fit_scales

IQ4 = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], np.float32)


def subs(x: Array, length: int) -> Array:
    """(blocks, 256) -> (length, blocks * subs)."""
    return x.reshape(-1, length).T


def importance(x: Array, w: Array, factor: float) -> Array:
    """w * sqrt(factor * mean square of the block + x * x); with no importances callers weigh differently."""
    sigma = F(factor) * total((x * x).T) / F(x.shape[1])
    return np.asarray(w * np.sqrt(sigma[:, None] + x * x))


def requantized(x: Array, d: Array, shift: Array, low: int, high: int, kept: Array) -> Array:
    """Levels (blocks, subs, length) for the stored scales; the search's own where a scale became 0."""
    parts = x.reshape(*d.shape, -1)
    new = np.clip(nearest((parts + shift[..., None]) / d[..., None]), low, high) - low
    return np.where(d[..., None] != 0, new, kept.T.reshape(parts.shape))


def pairs_of_bits(levels: Array) -> Array:
    """(blocks, 256) levels 0..3 -> 64 bytes: elements 32 apart share a byte."""
    q = levels.reshape(-1, 2, 4, 32) & 3
    return (q[:, :, 0] | q[:, :, 1] << 2 | q[:, :, 2] << 4 | q[:, :, 3] << 6).reshape(-1, 64)


def bit_plane(bits: Array) -> Array:
    """(blocks, 256) of 0 and 1 -> 32 bytes: elements 32 apart share a byte."""
    q = bits.reshape(-1, 8, 32)
    return np.asarray(sum(q[:, g] << g for g in range(8)))


def by_importance(fit: Fit, w: Array, count: int, top: int) -> tuple[Array, Array, Array, Array]:
    """(d, dmin, scales, minimums) of super-blocks of ``count`` sub-blocks; w: the weights of the search."""
    sums = total(w).reshape(-1, count).T
    d, scales = fit_scales(fit.scale.reshape(-1, count).T, sums, top)
    m, minimums = fit_scales(fit.minus.reshape(-1, count).T, sums, top)
    return d, m, scales.T, minimums.T


def quantize_q2_k(x: Array, w: Array | None) -> Array:
    xs = subs(x, 16)
    if w is not None:
        ws = subs(importance(x, w, 1), 16)
        fit = fit_min(xs, ws, 3, -0.9, 0.05, 36, False, True)
        d, m, scales, minimums = by_importance(fit, ws, 16, 15)
    else:
        fit = fit_min(xs, np.abs(xs), 3, -0.5, 0.1, 15, True, False)
        d, scales = by_largest(fit.scale, 16, 15)
        m, minimums = by_largest(fit.minus, 16, 15)
    packed = (scales & 255 | minimums << 4) & 255
    levels = requantized(x, stored(d)[:, None] * (packed & 15).astype(np.float32),
                         stored(m)[:, None] * (packed >> 4).astype(np.float32), 0, 3, fit.levels)  # fmt: skip
    return bytes_of(packed, pairs_of_bits(levels), halves(d), halves(m))


def by_largest(values: Array, count: int, top: int) -> tuple[Array, Array]:
    """(size, levels): the largest of a super-block becomes ``top``."""
    values = values.reshape(-1, count)
    high = np.fmax(values, F(0)).max(axis=1)
    size = np.where(high > 0, F(top) / high, F(0))
    return high / F(top), np.where(high[:, None] > 0, nearest(size[:, None] * values), 0)


def quantize_k45(x: Array, w: Array | None, top: int) -> Array:
    """Q4_K (top 15) and Q5_K (31)."""
    xs, five = subs(x, 32), top == 31
    if w is not None:
        ws = subs(importance(x, w, 2), 32)
        fit = fit_min(xs, ws, top, -0.9, 0.05, 36, False, True)
        d, m, scales, minimums = by_importance(fit, ws, 8, 63)
        scales, minimums = (np.minimum(scales, 63), np.minimum(minimums, 63)) if five else (scales, minimums)
    else:
        ws = np.sqrt(total(xs * xs) / F(32)) + np.abs(xs)
        fit = fit_min(xs, ws, top, -0.5 if five else -1.0, 0.1, 15 if five else 20, False, False)
        d, scales = by_largest(fit.scale, 8, 63)
        m, minimums = by_largest(fit.minus, 8, 63)
        scales, minimums = np.minimum(scales & 255, 63), np.minimum(minimums & 255, 63)
    packed = np.concatenate([
        scales[:, :4] | scales[:, 4:] >> 4 << 6, minimums[:, :4] | minimums[:, 4:] >> 4 << 6,
        scales[:, 4:] & 15 | (minimums[:, 4:] & 15) << 4,
    ], axis=1) & 255  # fmt: skip
    scales, minimums = k4_scales(packed)
    levels = requantized(x, stored(d)[:, None] * scales.astype(np.float32),
                         stored(m)[:, None] * minimums.astype(np.float32), 0, top, fit.levels)  # fmt: skip
    low = nibbles(levels.reshape(-1, 4, 64))
    high = [bit_plane(levels.reshape(-1, 256) >> 4)] if five else []
    return bytes_of(halves(d), halves(m), packed, *high, low)


def k4_scales(packed: Array) -> tuple[Array, Array]:
    """Eight scales and eight minimums of 6 bits from 12 bytes."""
    a, b, c = packed[:, :4], packed[:, 4:8], packed[:, 8:]
    return (
        np.concatenate([a & 63, c & 15 | a >> 6 << 4], axis=1),
        np.concatenate([b & 63, c >> 4 | b >> 6 << 4], axis=1),
    )


def quantize_q3_k(x: Array, w: Array | None) -> Array:
    xs = subs(x, 16)
    if w is not None:
        ws = subs(importance(x, w, 2), 16)
        scale, kept = fit_scale(xs, ws, 4)
        d, numbers = fit_scale(scale.reshape(-1, 16).T, total(ws).reshape(-1, 16).T, 32)
        s = numbers.T
    else:
        scale, kept = fit_by_steps(xs, 4)
        scale = scale.reshape(-1, 16)
        peak = peaks(scale.T)
        size = F(-32) / peak
        d = np.where(peak != 0, F(1) / size, F(0))
        s = np.where(peak[:, None] != 0, np.clip(nearest(size[:, None] * scale).astype(np.int8), -32, 31), -32) + 32
    high = s.reshape(-1, 4, 4) >> 4
    packed = np.concatenate(
        [s[:, :8] & 15 | (s[:, 8:] & 15) << 4, high[:, 0] | high[:, 1] << 2 | high[:, 2] << 4 | high[:, 3] << 6], axis=1
    )
    sizes = stored(d)[:, None] * (s - 32).astype(np.float32)
    levels = requantized(x, sizes, np.zeros_like(sizes), -4, 3, kept)
    return bytes_of(bit_plane(levels.reshape(-1, 256) >> 2 & 1), pairs_of_bits(levels), packed, halves(d))


def quantize_q6_k(x: Array, w: Array | None) -> Array:
    xs = subs(x, 16)
    scale, kept = fit_scale(xs, subs(w, 16) if w is not None else xs * xs, 32)
    scale = scale.reshape(-1, 16)
    peak = peaks(scale.T)
    size = F(-128) / peak
    d = F(1) / size
    s = np.minimum(nearest(size[:, None] * scale), 127).astype(np.int8)
    sizes = stored(d)[:, None] * s.astype(np.float32)
    levels = requantized(x, sizes, np.zeros_like(sizes), -32, 31, kept).reshape(-1, 2, 4, 32)
    low = np.concatenate([levels[:, :, :2] & 15 | (levels[:, :, 2:] & 15) << 4], axis=2)
    high = levels >> 4
    out = bytes_of(low, high[:, :, 0] | high[:, :, 1] << 2 | high[:, :, 2] << 4 | high[:, :, 3] << 6, s, halves(d))
    out[np.abs(peak) < TINY] = 0
    return out


def iq4_indices(x: Array) -> Array:
    """Index of the nearest level, the upper one from the middle on; the last for NaN."""
    return 15 - sum(((x + x < F(edge)).astype(np.int32) for edge in IQ4[1:] + IQ4[:-1]), np.zeros(x.shape, np.int32))


def fit_iq4(x: Array, w: Array) -> Array:
    """Scales of (32, lanes): the first guess and fifteen more."""
    flat = np.abs(x).max(axis=0) < TINY
    peak = np.where(flat, F(1), peaks(x))

    def trial(size: Array) -> tuple[Array, Array]:
        q = IQ4[iq4_indices(size * x)]
        return total(w * q * x), total(w * q * q)

    qx, q2 = trial(F(1) / (-peak / IQ4[0]))
    scale = np.where(q2 > 0, qx / q2, F(0))
    best = scale * qx
    for step in range(-7, 8):
        qx, q2 = trial((F(step) + IQ4[0]) / peak)
        better = (q2 > 0) & (qx * qx > best * q2)
        found = qx / q2
        scale, best = np.where(better, found, scale), np.where(better, found * qx, best)
    return np.where(flat, F(0), scale)


def quantize_iq4_nl(x: Array, w: Array | None) -> Array:
    d = fit_iq4(x.T, (x * x if w is None else importance(x, w, 2)).T)
    return bytes_of(halves(d), nibbles(iq4_indices(x * inverse(d)[:, None])))


def quantize_iq4_xs(x: Array, w: Array | None) -> Array:
    scale = fit_iq4(subs(x, 32), subs(x * x if w is None else importance(x, w, 2), 32)).reshape(-1, 8)
    d = -peaks(scale.T) / F(32)
    s = np.clip(nearest(inverse(d)[:, None] * scale), -32, 31)
    sizes = d[:, None] * s.astype(np.float32)
    levels = iq4_indices(x.reshape(-1, 8, 32) * inverse(sizes)[..., None])
    s = s + 32
    high = sum((s[:, j] >> 4) << 2 * j for j in range(8))
    low = s[:, ::2] & 15 | (s[:, 1::2] & 15) << 4
    return bytes_of(halves(d), np.asarray(high).astype("<u2").view(np.uint8).reshape(-1, 2), low, nibbles(levels))
