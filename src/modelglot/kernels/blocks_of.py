"""Planes put together into blocks again: the inverse of `modelglot.kernels.planes`, byte for byte.

What ggml never writes is the exception: a code for minus zero (MXFP4, NVFP4), trits above 242, unused bits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np

from modelglot.kernels.reference.grids import grid
from modelglot.kernels.reference.numbers import Array, bytes_of, little, nibbles
from modelglot.kernels.reference.small import E2M1, pack, trits
from modelglot.kernels.reference.supers import IQ4, bit_plane, pairs_of_bits

Planes = Mapping[str, Array]


def _bytes(values: Array) -> Array:
    return np.ascontiguousarray(values).view(np.uint8).reshape(len(values), -1)


def _codes(levels: Array, values: Array) -> Array:
    """The index of each level among ``values``, of equal ones the first."""
    table = np.zeros(256, np.uint8)
    for number in reversed(range(len(values))):
        table[int(values[number]) & 255] = number
    return table[levels.view(np.uint8)]


def _by(levels: Array, run: int) -> Array:
    """Nibbles of every ``2 * run`` levels apart: the low halves of ``run`` bytes, then the high ones."""
    return nibbles(levels.reshape(len(levels), -1, 2 * run)).reshape(len(levels), -1)


def _packed_scales(scales: Array, minimums: Array) -> Array:
    first = scales[:, :4] | scales[:, 4:] >> 4 << 6
    return np.concatenate([first, minimums[:, :4] | minimums[:, 4:] >> 4 << 6,
                           scales[:, 4:] & 15 | (minimums[:, 4:] & 15) << 4], axis=1)  # fmt: skip


def _k3(p: Planes) -> Array:
    scales, levels = p["scales"].view(np.uint8) + np.uint8(32), (p["levels"] + np.int8(4)).view(np.uint8)
    high = scales.reshape(-1, 4, 4) >> 4
    packed = [scales[:, :8] & 15 | (scales[:, 8:] & 15) << 4]
    packed += [high[:, 0] | high[:, 1] << 2 | high[:, 2] << 4 | high[:, 3] << 6]
    return bytes_of(bit_plane(levels >> 2), pairs_of_bits(levels), *packed, _bytes(p["d"]))


def _k45(p: Planes, five: bool) -> Array:
    levels = p["levels"]
    high = [bit_plane(levels >> 4)] if five else []
    scales = _packed_scales(p["scales"], p["minimums"])
    return bytes_of(_bytes(p["d"]), _bytes(p["dmin"]), scales, *high, _by(levels & 15, 32))


def _k6(p: Planes) -> Array:
    levels = (p["levels"] + np.int8(32)).view(np.uint8)
    return bytes_of(_by(levels & 15, 64), pairs_of_bits(levels >> 4), _bytes(p["scales"]), _bytes(p["d"]))


def _iq4_xs(p: Planes) -> Array:
    scales = (p["scales"] + np.int8(32)).view(np.uint8)
    high = (scales.astype(np.uint16) >> 4 << (2 * np.arange(8)).astype(np.uint16)).sum(axis=1, dtype=np.uint16)
    low = scales[:, ::2] & 15 | (scales[:, 1::2] & 15) << 4
    return bytes_of(_bytes(p["d"]), little(high[:, None], "<u2"), low, _by(_codes(p["levels"], IQ4), 16))


@cache
def _sorted(name: str) -> tuple[Array, Array]:
    points = grid(name)
    keys = _keys(points)
    order = np.argsort(keys)
    return keys[order], order


def _keys(points: Array) -> Array:
    """Each point of 4 or 8 bytes as one number."""
    length = points.shape[-1]
    return np.ascontiguousarray(points).view(np.uint8).reshape(-1, length).copy().view(f"<u{length}").reshape(-1)


def _points(name: str, magnitudes: Array) -> Array:
    """(blocks, n) index of every point among those of the grid."""
    keys, order = _sorted(name)
    length = grid(name).shape[1]
    at = np.searchsorted(keys, _keys(magnitudes.reshape(-1, length)))
    return np.asarray(order[at].reshape(len(magnitudes), -1))


def _signs(levels: Array) -> tuple[Array, Array]:
    """(magnitudes, sign bytes)."""
    return np.abs(levels).view(np.uint8), np.packbits(levels < 0, axis=1, bitorder="little")


def _steps(scales: Array, by: int) -> Array:
    """What `planes` made of them: (steps + 1/2) / by."""
    return (scales.astype(np.float32) * np.float32(by) - np.float32(0.5)).astype(np.uint8)


def _parity(signs: Array, steps: Array) -> Array:
    """32-bit words: four times seven signs, the steps of the scale on top."""
    seven = signs.reshape(len(signs), -1, 4).astype(np.uint32) & 127
    words = (seven << np.array([0, 7, 14, 21], np.uint32)).sum(axis=2, dtype=np.uint32)
    return np.asarray(words | steps.astype(np.uint32) << 28)


def _iq2_xxs(p: Planes) -> Array:
    sizes, signs = _signs(p["levels"])
    index = _points("iq2_xxs", sizes).astype(np.uint8).reshape(len(signs), 8, 4)
    words = np.stack((np.ascontiguousarray(index).view("<u4")[..., 0], _parity(signs, _steps(p["scales"], 4))), -1)
    return bytes_of(_bytes(p["d"]), _bytes(words.astype("<u4")))


def _iq2_xs(p: Planes) -> Array:
    sizes, signs = _signs(p["levels"])
    words = _points("iq2_xs", sizes).astype(np.uint16) | (signs.astype(np.uint16) & 127) << 9
    return bytes_of(_bytes(p["d"]), little(words, "<u2"), _pairs(_steps(p["scales"], 4)))


def _pairs(steps: Array) -> Array:
    return np.asarray(steps[:, ::2] | steps[:, 1::2] << 4)


def _iq2_s(p: Planes) -> Array:
    sizes, signs = _signs(p["levels"])
    index = _points("iq2_s", sizes)
    high = ((index >> 8).reshape(len(signs), -1, 4) << np.array([0, 2, 4, 6])).sum(axis=2)
    return bytes_of(_bytes(p["d"]), index & 255, signs, high, _pairs(_steps(p["scales"], 4)))


def _iq3_xxs(p: Planes) -> Array:
    sizes, signs = _signs(p["levels"])
    words = _parity(signs, _steps(p["scales"], 2))
    return bytes_of(_bytes(p["d"]), _points("iq3_xxs", sizes), _bytes(words.astype("<u4")))


def _iq3_s(p: Planes) -> Array:
    sizes, signs = _signs(p["levels"])
    index = _points("iq3_s", sizes)
    high = np.packbits((index >> 8).astype(np.uint8), axis=1, bitorder="little")
    return bytes_of(_bytes(p["d"]), index & 255, high, signs, _pairs((p["scales"] - 1) >> 1))


def _thirds(levels: Array) -> tuple[Array, Array]:
    """(index, down) of every eight levels."""
    groups = levels.reshape(len(levels), -1, 8)
    down = (groups[..., 0] & 7) == 7
    points = (groups + np.where(down, np.int8(1), np.int8(-1))[..., None]) >> 3
    return _points("iq1_s", points.astype(np.int8).reshape(len(levels), -1)), down


def _odd_steps(scales: Array) -> Array:
    return ((scales.astype(np.float32) * np.float32(8)).astype(np.int64) - 1) >> 1


def _iq1_s(p: Planes) -> Array:
    index, down = _thirds(p["levels"])
    high = ((index >> 8).reshape(len(index), 8, 4) << np.array([0, 3, 6, 9])).sum(axis=2)
    words = high | _odd_steps(p["scales"]) << 12 | down[:, ::4].astype(np.int64) << 15
    return bytes_of(_bytes(p["d"]), index & 255, little(words, "<u2"))


def _iq1_m(p: Planes) -> Array:
    index, down = _thirds(p["levels"])
    high = index >> 8 | down.astype(np.int64) << 3
    d = np.ascontiguousarray(p["d"]).view("<u2").astype(np.int64)
    words = (_odd_steps(p["scales"]).reshape(len(index), 4, 4) << np.array([0, 3, 6, 9])).sum(axis=2)
    return bytes_of(index & 255, _pairs(high), little(words | (d >> np.array([0, 4, 8, 12]) & 15) << 12, "<u2"))


def _tq1_0(p: Planes) -> Array:
    q = (p["levels"] + np.int8(1)).astype(np.int32)
    last = np.concatenate([q[:, 240:].reshape(-1, 4, 4), np.zeros((len(q), 1, 4), np.int32)], axis=1)
    parts = (trits(q[:, :160].reshape(-1, 5, 32)), trits(q[:, 160:240].reshape(-1, 5, 16)), trits(last))
    return bytes_of(*parts, _bytes(p["d"]))


def _q2_0(p: Planes) -> Array:
    q = (p["levels"] + np.int8(1)).view(np.uint8).reshape(len(p["levels"]), -1, 4)
    return bytes_of(_bytes(p["d"]), q[..., 0] | q[..., 1] << 2 | q[..., 2] << 4 | q[..., 3] << 6)


def _simple(half: int, five: bool) -> Callable[[Planes], Array]:
    def join(p: Planes) -> Array:
        header = [_bytes(p[name]) for name in ("d", "m") if name in p]
        return pack(header, p["levels"] + p["levels"].dtype.type(half), five)

    return join


JOIN: dict[str, Callable[[Planes], Array]] = {
    "q4_0": _simple(8, False), "q4_1": _simple(0, False), "q5_0": _simple(16, True), "q5_1": _simple(0, True),
    "q8_0": lambda p: bytes_of(_bytes(p["d"]), p["levels"].view(np.uint8)),
    "q2_k": lambda p: bytes_of(p["scales"] | p["minimums"] << 4, pairs_of_bits(p["levels"]), _bytes(p["d"]),
                               _bytes(p["dmin"])),
    "q3_k": _k3, "q4_k": lambda p: _k45(p, False), "q5_k": lambda p: _k45(p, True), "q6_k": _k6,
    "iq4_nl": lambda p: bytes_of(_bytes(p["d"]), nibbles(_codes(p["levels"], IQ4))), "iq4_xs": _iq4_xs,
    "iq2_xxs": _iq2_xxs, "iq2_xs": _iq2_xs, "iq2_s": _iq2_s, "iq3_xxs": _iq3_xxs, "iq3_s": _iq3_s,
    "iq1_s": _iq1_s, "iq1_m": _iq1_m, "tq1_0": _tq1_0,
    "tq2_0": lambda p: bytes_of(pairs_of_bits((p["levels"] + np.int8(1)).view(np.uint8)), _bytes(p["d"])),
    "mxfp4": lambda p: bytes_of(p["codes"], nibbles(_codes(p["levels"], E2M1))),
    "nvfp4": lambda p: bytes_of(p["codes"], _by(_codes(p["levels"], E2M1), 8)),
    "q1_0": lambda p: bytes_of(_bytes(p["d"]), np.packbits(p["levels"] > 0, axis=1, bitorder="little")),
    "q2_0": _q2_0,
}  # fmt: skip
