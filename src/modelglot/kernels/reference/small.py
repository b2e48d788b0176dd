"""Blocks with one scale: Q4_0 to Q8_0, MXFP4, NVFP4, Q1_0, Q2_0, TQ1_0, TQ2_0. x: (blocks, elements) float32."""

from __future__ import annotations

import numpy as np

from modelglot.kernels.reference.numbers import (
    Array,
    F,
    bytes_of,
    first,
    halves,
    inverse,
    nibbles,
    peaks,
    rounded_away,
    total,
    truncated,
)
from modelglot.kernels.reference.search import fit_min, fit_scale

E2M1 = np.array([0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12], np.float32)  # twice the value


def quantize_q8_0(x: Array) -> Array:
    d = np.abs(x).max(axis=1) / F(127)
    return bytes_of(halves(d), rounded_away(x * inverse(d)[:, None]))


def fifth_bits(levels: Array) -> Array:
    return np.packbits((levels >> 4 & 1).astype(np.uint8), axis=1, bitorder="little")


def pack(header: list[Array], levels: Array, five: bool) -> Array:
    return bytes_of(*header, *([fifth_bits(levels)] if five else []), nibbles(levels))


def quantize_centred(x: Array, half: int) -> Array:
    """Q4_0 (half 8), Q5_0 (16): the greatest magnitude becomes -half."""
    d = peaks(x.T) / F(-half)
    levels = truncated(x * inverse(d)[:, None] + F(half + 0.5))
    return pack([halves(d)], np.clip(levels, 0, 2 * half - 1), half == 16)


def quantize_offset(x: Array, steps: int) -> Array:
    """Q4_1 (15 steps), Q5_1 (31). Of equal extremes the first counts, which matters for the sign of 0."""
    low, high = first(x.T, x.argmin(axis=1)), first(x.T, x.argmax(axis=1))
    d = (high - low) / F(steps)
    levels = truncated((x - low[:, None]) * inverse(d)[:, None] + F(0.5)) & 255
    levels = np.minimum(levels, 15) if steps == 15 else levels
    return pack([halves(d), halves(low)], levels, steps == 31)


def weighted_centred(x: Array, w: Array, half: int) -> Array:
    scale, levels = fit_scale(x.T, w.T, half)
    return pack([halves(scale)], levels.T, half == 16)


def weighted_offset(x: Array, w: Array, steps: int) -> Array:
    fit = fit_min(x.T, w.T, steps, -0.9, 0.05, 36, False, True)
    return pack([halves(fit.scale), halves(-fit.minus)], fit.levels.T, steps == 31)


def half_powers(e: Array) -> Array:
    """E8M0 as float32, halved because E2M1 above is doubled."""
    e = e.astype(np.uint32)
    bits = np.where(e < 2, np.uint32(0x00200000) << np.minimum(e, 1), (np.maximum(e, 1) - 1) << 23)
    return np.asarray(bits.astype(np.uint32).view(np.float32))


def quantize_mxfp4(x: Array) -> Array:
    """The exponent is floor(log2(max)) in single precision: just below a power of two the logarithm rounds up."""
    high = np.abs(x).max(axis=1)
    log = np.log2(np.where(high > 0, high, F(1)).astype(np.float64)).astype(np.float32)
    e = np.where(high > 0, (np.floor(log) + F(125)).astype(np.int32) & 255, 0).astype(np.uint8)
    return bytes_of(e[:, None], nibbles(nearest_e2m1(x, half_powers(e)[:, None])))


def nearest_e2m1(x: Array, d: Array) -> Array:
    """Index of the nearest of E2M1 * d, of equal ones the first."""
    best, error = np.zeros(x.shape, np.int32), np.abs(x)
    for number in range(1, 16):
        trial = np.abs(E2M1[number] * d - x)
        best, error = np.where(trial < error, number, best), np.minimum(trial, error)
    return best


def ue4m3_halves(u: Array) -> Array:
    """Unsigned E4M3 (bias 7, 0x7f is 0 here) as float32, halved."""
    exponent, mantissa = (u >> 3 & 15).astype(np.int32), (u & 7).astype(np.float32)
    value = np.where(exponent == 0, mantissa * F(2**-9), np.ldexp(F(1) + mantissa / F(8), exponent - 7))
    return np.where((u == 0) | (u == 0x7F), F(0), value * F(0.5)).astype(np.float32)


def ue4m3_of(x: Array) -> Array:
    """Halves of the last place go up, whatever is left below."""
    x = np.minimum(x, F(448))
    bits = x.view(np.uint32)
    exponent = (bits >> 23 & 255).astype(np.int32) - 120
    mantissa = ((bits >> 20 & 7) + (bits >> 19 & 1)).astype(np.int32)
    normal = np.minimum((exponent << 3) + mantissa, 0x7E)
    small = np.clip((x * F(512) + F(0.5)).astype(np.int32), 0, 7)
    return np.where(x > 0, np.where(exponent <= 0, small, np.where(exponent >= 15, 0x7E, normal)), 0).astype(np.uint8)


def quantize_nvfp4(x: Array) -> Array:
    parts = x.reshape(len(x), 4, 16)
    scales = ue4m3_of(np.abs(parts).max(axis=2) / F(6))
    return bytes_of(scales, nibbles(nearest_e2m1(parts, ue4m3_halves(scales)[:, :, None])))


def ternary(x: Array) -> tuple[Array, Array]:
    d = np.abs(x).max(axis=1)
    return d, (rounded_away(x * inverse(d)[:, None]) + 1) & 255


def trits(levels: Array) -> Array:
    """Five of 0, 1, 2 on axis 1, the first the most significant, as a fraction of 256 rounded up."""
    q = np.zeros_like(levels[:, 0])
    for i in range(5):
        q = q * 3 + levels[:, i] & 255
    return (q * 256 + 242) // 243


def quantize_tq1_0(x: Array) -> Array:
    d, levels = ternary(x)
    last = np.concatenate([levels[:, 240:].reshape(-1, 4, 4), np.zeros((len(x), 1, 4), np.int32)], axis=1)
    return bytes_of(trits(levels[:, :160].reshape(-1, 5, 32)), trits(levels[:, 160:240].reshape(-1, 5, 16)),
                    trits(last), halves(d))  # fmt: skip


def quantize_tq2_0(x: Array) -> Array:
    d, levels = ternary(x)
    q = levels.reshape(len(x), 2, 4, 32) & 3
    return bytes_of(q[:, :, 0] | q[:, :, 1] << 2 | q[:, :, 2] << 4 | q[:, :, 3] << 6, halves(d))


def quantize_q1_0(x: Array) -> Array:
    return bytes_of(halves(total(np.abs(x).T) / F(128)), np.packbits(x >= 0, axis=1, bitorder="little"))


def quantize_q2_0(x: Array) -> Array:
    d = np.abs(x).max(axis=1)
    q = np.clip(rounded_away(x * inverse(d)[:, None]) + 1, 0, 3).reshape(len(x), 16, 4)
    return bytes_of(halves(d), q[:, :, 0] | q[:, :, 1] << 2 | q[:, :, 2] << 4 | q[:, :, 3] << 6)
