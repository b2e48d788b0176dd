"""Blocks taken apart into the planes of `modelglot.core.forms`, and put together again.

Blocks are (blocks, bytes) uint8; levels (blocks, elements) int8 or uint8; other planes (blocks, numbers).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from modelglot.core.forms import FORMS
from modelglot.kernels.reference.dequantize import (
    bit_plane,
    nibbles,
    numbers,
    pairs_of_bits,
    parity_signs,
    q5_levels,
    ternary,
)
from modelglot.kernels.reference.grids import SIGNS, grid
from modelglot.kernels.reference.numbers import Array, F
from modelglot.kernels.reference.small import E2M1, half_powers, ue4m3_halves
from modelglot.kernels.reference.supers import IQ4, k4_scales

Planes = dict[str, Array]
TABLES: dict[str, Callable[[], Array]] = {
    "e8m0": lambda: half_powers(np.arange(256)),
    "ue4m3": lambda: ue4m3_halves(np.arange(256, dtype=np.uint8)),
}
_SHIFTS = np.array([0, 2, 4, 6], np.uint8)
_THIRDS = np.array([0, 3, 6, 9], np.uint16)
_CODES, _POINTS = E2M1.astype(np.int8), IQ4.astype(np.int8)


def f16(q: Array, at: int) -> Array:
    return numbers(q[:, at : at + 2], "<f2")


def _minus(levels: Array, by: int) -> Array:
    return levels.astype(np.int8) - np.int8(by)


def _k2(q: Array) -> Planes:
    scales = {"scales": q[:, :16] & 15, "minimums": q[:, :16] >> 4}
    return {"levels": pairs_of_bits(q[:, 16:80]), "d": f16(q, 80), "dmin": f16(q, 82), **scales}


def _k3(q: Array) -> Planes:
    low = np.concatenate([q[:, 96:104] & 15, q[:, 96:104] >> 4], axis=1)
    high = (q[:, None, 104:108] >> _SHIFTS[:, None] & 3).reshape(len(q), 16)
    levels = pairs_of_bits(q[:, 32:96]).astype(np.int8) + bit_plane(q[:, :32]).astype(np.int8) * 4 - 4
    return {"levels": levels, "d": f16(q, 108), "scales": _minus(low | high << 4, 32)}


def _k45(q: Array, five: bool) -> Planes:
    scales, minimums = k4_scales(q[:, 4:16])
    levels = nibbles(q[:, 48 if five else 16 :], 32)
    levels = levels | bit_plane(q[:, 16:48]) << 4 if five else levels
    return {"levels": levels, "d": f16(q, 0), "dmin": f16(q, 2), "scales": scales, "minimums": minimums}


def _k6(q: Array) -> Planes:
    levels = nibbles(q[:, :128], 64) | pairs_of_bits(q[:, 128:192]) << 4
    return {"levels": _minus(levels, 32), "d": f16(q, 208), "scales": q[:, 192:208].view(np.int8)}


def _iq4_xs(q: Array) -> Planes:
    high = numbers(q[:, 2:4], "<u2") >> (2 * np.arange(8)).astype(np.uint16) & 3
    scales = nibbles(q[:, 4:8], 1) | high.astype(np.uint8) << 4
    return {"levels": _POINTS[nibbles(q[:, 8:], 16)], "d": f16(q, 0), "scales": _minus(scales, 32)}


def _signed(name: str, index: Array, signs: Array) -> Array:
    found = grid(name)[index].reshape(len(index), -1).astype(np.int8)
    minus = np.unpackbits(np.ascontiguousarray(signs), axis=1, bitorder="little").astype(bool)
    return np.where(minus, -found, found)


def _halves(steps: Array, by: float) -> Array:
    """(steps + 1/2) times a power of two, which f16 holds exactly."""
    return ((steps.astype(np.float32) + F(0.5)) * F(by)).astype("<f2")


def _iq2_xxs(q: Array) -> Planes:
    words = numbers(q[:, 2:], "<u4").reshape(len(q), 8, 2)
    scale, signs = parity_signs(words[..., 1])
    index = np.ascontiguousarray(words[..., 0]).view(np.uint8).reshape(len(q), -1)
    return {"levels": _signed("iq2_xxs", index, signs), "d": f16(q, 0), "scales": _halves(scale, 0.25)}


def _iq2_xs(q: Array) -> Planes:
    words = numbers(q[:, 2:66], "<u2")
    levels = _signed("iq2_xs", words & 511, SIGNS[words >> 9])
    return {"levels": levels, "d": f16(q, 0), "scales": _halves(nibbles(q[:, 66:], 1), 0.25)}


def _iq2_s(q: Array) -> Planes:
    high = (q[:, 66:74, None] >> _SHIFTS & 3).reshape(len(q), -1).astype(np.uint16)
    levels = _signed("iq2_s", q[:, 2:34] | high << 8, q[:, 34:66])
    return {"levels": levels, "d": f16(q, 0), "scales": _halves(nibbles(q[:, 74:], 1), 0.25)}


def _iq3_xxs(q: Array) -> Planes:
    scale, signs = parity_signs(numbers(q[:, 66:], "<u4"))
    return {"levels": _signed("iq3_xxs", q[:, 2:66], signs), "d": f16(q, 0), "scales": _halves(scale, 0.5)}


def _iq3_s(q: Array) -> Planes:
    high = np.unpackbits(q[:, 66:74], axis=1, bitorder="little").astype(np.uint16)
    levels = _signed("iq3_s", q[:, 2:66] | high << 8, q[:, 74:106])
    return {"levels": levels, "d": f16(q, 0), "scales": 1 + 2 * nibbles(q[:, 106:], 1)}


def _thirds(index: Array, down: Array) -> Array:
    """Eighths: points of -1, 0, 1 times eight, and one less or more."""
    made = grid("iq1_s")[index] * np.int8(8) + np.where(down, np.int8(-1), np.int8(1))[..., None]
    return np.asarray(made.reshape(len(index), -1))


def _eighths(steps: Array) -> Array:
    return ((2 * steps + 1).astype(np.float32) / F(8)).astype("<f2")


def _iq1_s(q: Array) -> Planes:
    words = numbers(q[:, 34:], "<u2")
    high = (words[..., None] >> _THIRDS & 7).reshape(len(q), -1)
    levels = _thirds(q[:, 2:34] | high << 8, np.repeat(words >= 0x8000, 4, axis=1))
    return {"levels": levels, "d": f16(q, 0), "scales": _eighths(words >> 12 & 7)}


def _iq1_m(q: Array) -> Planes:
    words = numbers(q[:, 48:], "<u2")
    top = words >> 12
    d = (top[:, :1] | top[:, 1:2] << 4 | top[:, 2:3] << 8 | top[:, 3:] << 12).astype("<u2").view("<f2")
    high = nibbles(q[:, 32:48], 1).astype(np.uint16)
    levels = _thirds(q[:, :32] | (high & 7) << 8, (high & 8) != 0)
    return {"levels": levels, "d": d, "scales": _eighths((words[..., None] >> _THIRDS & 7).reshape(len(q), -1))}


SPLIT: dict[str, Callable[[Array], Planes]] = {
    "q4_0": lambda q: {"levels": _minus(nibbles(q[:, 2:], 16), 8), "d": f16(q, 0)},
    "q4_1": lambda q: {"levels": nibbles(q[:, 4:], 16), "d": f16(q, 0), "m": f16(q, 2)},
    "q5_0": lambda q: {"levels": _minus(q5_levels(q[:, 2:]), 16), "d": f16(q, 0)},
    "q5_1": lambda q: {"levels": q5_levels(q[:, 4:]), "d": f16(q, 0), "m": f16(q, 2)},
    "q8_0": lambda q: {"levels": q[:, 2:].view(np.int8), "d": f16(q, 0)},
    "q2_k": _k2, "q3_k": _k3, "q4_k": lambda q: _k45(q, False), "q5_k": lambda q: _k45(q, True), "q6_k": _k6,
    "iq4_nl": lambda q: {"levels": _POINTS[nibbles(q[:, 2:], 16)], "d": f16(q, 0)}, "iq4_xs": _iq4_xs,
    "iq2_xxs": _iq2_xxs, "iq2_xs": _iq2_xs, "iq2_s": _iq2_s, "iq3_xxs": _iq3_xxs, "iq3_s": _iq3_s,
    "iq1_s": _iq1_s, "iq1_m": _iq1_m,
    "tq1_0": lambda q: {"levels": np.concatenate([ternary(q[:, :32], 5), ternary(q[:, 32:48], 5),
                                                  ternary(q[:, 48:52], 4)], axis=1).astype(np.int8), "d": f16(q, 52)},
    "tq2_0": lambda q: {"levels": _minus(pairs_of_bits(q[:, :64]), 1), "d": f16(q, 64)},
    "mxfp4": lambda q: {"levels": _CODES[nibbles(q[:, 1:], 16)], "codes": q[:, :1]},
    "nvfp4": lambda q: {"levels": _CODES[nibbles(q[:, 4:], 8)], "codes": q[:, :4]},
    "q1_0": lambda q: {"levels": 2 * np.unpackbits(q[:, 2:], axis=1, bitorder="little").view(np.int8) - np.int8(1),
                       "d": f16(q, 0)},
    "q2_0": lambda q: {"levels": _minus((q[:, 2:, None] >> _SHIFTS & 3).reshape(len(q), -1), 1), "d": f16(q, 0)},
}  # fmt: skip


def plane(name: str, wanted: str, blocks: Array) -> Array:
    """One plane of (blocks, bytes): ``levels``, its halves ``high`` and ``low``, or a plane of numbers."""
    made = SPLIT[name](blocks)
    if wanted == "high":
        return made["levels"] >> 4
    return made["levels"] & 15 if wanted == "low" else made[wanted]


def weights(name: str, planes: Mapping[str, Any]) -> Array:
    """(blocks, elements) float32 of the planes of blocks: what the forms mean."""
    form, levels = FORMS[name], np.asarray(planes["levels"]).astype(np.float32)
    made = []
    for part in (form.scale, form.minimum):
        if part is None:
            continue
        arrays = [np.asarray(planes[p]) for p, _ in part.planes]
        value = TABLES[part.table]()[arrays[0]] if part.table else arrays[0].astype(np.float32)
        value = value * arrays[1].astype(np.float32) if len(arrays) > 1 else value
        made.append(np.repeat(value * F(part.sign), levels.shape[1] // value.shape[1], axis=1))
    found: Array = levels * made[0] + made[1] if form.minimum else levels * made[0]
    return found
