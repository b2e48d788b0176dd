"""IQ2 and IQ3 blocks: weights, the search of all sub-blocks, and where the bits go."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from modelglot.kernels.reference.codebooks import codebook
from modelglot.kernels.reference.lattice import SEARCHES, fit_lattice
from modelglot.kernels.reference.numbers import Array, F, bytes_of, halves, little, nearest, total


def lattice_weights(name: str, x: Array, w: Array | None) -> Array:
    """What an error of each element counts; x and w: (blocks, 256)."""
    square = total((x * x).T)
    mean = ((square if SEARCHES[name].half else F(2) * square) / F(256))[:, None]
    if w is not None:
        return np.asarray(w * np.sqrt(mean + x * x))
    return np.asarray(F(0.25) * mean + x * x if name == "iq2_s" else x * x)


def quantize_lattice(x: Array, w: Array | None, name: str) -> Array:
    """(blocks, 256) -> (blocks, bytes)."""
    how, book = SEARCHES[name], codebook(name)
    found = fit_lattice(
        how, book, x.reshape(-1, how.sub).T, lattice_weights(name, x, w).reshape(-1, how.sub).T
    )  # fmt: skip
    turned = found.scale < 0
    scale = np.abs(found.scale).reshape(len(x), -1)
    signs = np.where(turned, ~found.signs, found.signs) & (127 if how.even else 255)
    index = np.where(found.flat, 0, book.index[found.keys]).T.reshape(*scale.shape, -1)
    signs = np.where(found.flat, 0, signs).T.reshape(*scale.shape, -1)
    high = scale.max(axis=1)
    d = high / F(31)
    steps = np.clip(nearest(F(0.5) * ((F(1) / d)[:, None] * scale - F(1))), 0, 15)
    none = high == 0
    d, steps = np.where(none, F(0), d * F(how.factor)), np.where(none[:, None], 0, steps)
    if how.even:
        index[none], signs[none] = 0, 0
    return _PACK[name](d, index, signs, steps, ~found.flat.reshape(scale.shape))


def pairs(steps: Array) -> Array:
    return np.asarray(steps[:, ::2] | steps[:, 1::2] << 4)


def words(signs: Array, steps: Array) -> Array:
    """Four signs of seven bits and a scale of four: a 32-bit word a sub-block."""
    word = (signs << 7 * np.arange(4)).sum(axis=2) | steps.astype(np.int64) << 28
    return little(word, "<u4").reshape(*steps.shape, 4)


def pack_iq2_xxs(d: Array, index: Array, signs: Array, steps: Array, kept: Array) -> Array:
    return bytes_of(halves(d), np.concatenate([index.astype(np.uint8), words(signs, steps)], axis=2))


def pack_iq2_xs(d: Array, index: Array, signs: Array, steps: Array, kept: Array) -> Array:
    return bytes_of(halves(d), little(index | signs << 9, "<u2"), pairs(steps))


def pack_iq2_s(d: Array, index: Array, signs: Array, steps: Array, kept: Array) -> Array:
    high = (index.reshape(len(d), 8, 4) >> 8 << 2 * np.arange(4)).sum(axis=2)
    return bytes_of(halves(d), index & 255, signs, high, pairs(steps))


def pack_iq3_xxs(d: Array, index: Array, signs: Array, steps: Array, kept: Array) -> Array:
    return bytes_of(halves(d), index, words(signs, steps))


def pack_iq3_s(d: Array, index: Array, signs: Array, steps: Array, kept: Array) -> Array:
    """Sub-blocks of zeros leave no gap before what follows them: so it is in the reference."""
    high = (index >> 8 << np.arange(8)).sum(axis=2)
    order = np.argsort(~kept, axis=1, kind="stable")[..., None]
    low, signs = np.take_along_axis(index & 255, order, 1), np.take_along_axis(signs, order, 1)
    return bytes_of(halves(d), low, high, signs, pairs(steps))


_PACK: dict[str, Callable[[Array, Array, Array, Array, Array], Array]] = {
    "iq2_xxs": pack_iq2_xxs, "iq2_xs": pack_iq2_xs, "iq2_s": pack_iq2_s, "iq3_xxs": pack_iq3_xxs,
    "iq3_s": pack_iq3_s,
}  # fmt: skip
