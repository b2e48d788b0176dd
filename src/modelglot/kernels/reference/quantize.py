"""Every quantizer by the name of its block."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from modelglot.core.encoding import BLOCKS
from modelglot.kernels.reference import small, supers
from modelglot.kernels.reference.lattice_blocks import quantize_lattice
from modelglot.kernels.reference.numbers import Array, F, total
from modelglot.kernels.reference.thirds_blocks import quantize_iq1_m, quantize_iq1_s

_PLAIN: dict[str, Callable[[Array], Array]] = {
    "q4_0": partial(small.quantize_centred, half=8), "q5_0": partial(small.quantize_centred, half=16),
    "q4_1": partial(small.quantize_offset, steps=15), "q5_1": partial(small.quantize_offset, steps=31),
    "q8_0": small.quantize_q8_0, "mxfp4": small.quantize_mxfp4, "nvfp4": small.quantize_nvfp4,
    "tq1_0": small.quantize_tq1_0, "tq2_0": small.quantize_tq2_0, "q1_0": small.quantize_q1_0,
    "q2_0": small.quantize_q2_0,
}  # fmt: skip
_ROWS: dict[str, Callable[[Array, Array], Array]] = {  # with importances, weighed over the whole row
    "q4_0": partial(small.weighted_centred, half=8), "q5_0": partial(small.weighted_centred, half=16),
    "q4_1": partial(small.weighted_offset, steps=15), "q5_1": partial(small.weighted_offset, steps=31),
}  # fmt: skip
_SUPER: dict[str, Callable[[Array, Array | None], Array]] = {
    "q2_k": supers.quantize_q2_k, "q3_k": supers.quantize_q3_k, "q4_k": partial(supers.quantize_k45, top=15),
    "q5_k": partial(supers.quantize_k45, top=31), "q6_k": supers.quantize_q6_k, "iq4_nl": supers.quantize_iq4_nl,
    "iq4_xs": supers.quantize_iq4_xs, "iq1_s": quantize_iq1_s, "iq1_m": quantize_iq1_m,
    **{name: partial(quantize_lattice, name=name) for name in ("iq2_xxs", "iq2_xs", "iq2_s", "iq3_xxs", "iq3_s")},
}  # fmt: skip
PIECE = 1 << 18  # elements worked on at once: keeps temporaries in the cache and memory small


def widened(raw: Array, source: str) -> Array:
    """Little-endian bytes of f32, f16 or bf16 as float32."""
    if source == "f32":
        return raw.view("<f4").astype(np.float32, copy=False)
    if source == "f16":
        return raw.view("<f2").astype(np.float32)
    return (raw.view("<u2").astype(np.uint32) << 16).view(np.float32)


def quantize_blocks(name: str, values: Array, weights: Array | None, row: int) -> Array:
    """Finite float32 values, flat, as (blocks, bytes) uint8. ``weights``: (row,) importances or None."""
    length = BLOCKS[name].elements
    piece = PIECE // length * length
    if weights is not None and name in {**_ROWS, **_SUPER}:
        piece = max(1, PIECE // row) * row
    done = []
    with np.errstate(all="ignore"):
        for at in range(0, values.size, piece):
            x = np.ascontiguousarray(values[at : at + piece])
            done.append(_quantized(name, x, weights, row).reshape(-1, BLOCKS[name].bytes))
    return np.concatenate(done) if done else np.empty((0, BLOCKS[name].bytes), np.uint8)


def _quantized(name: str, x: Array, weights: Array | None, row: int) -> Array:
    length = BLOCKS[name].elements
    if weights is None or name not in {**_ROWS, **_SUPER}:
        blocks = x.reshape(-1, length)
        return _SUPER[name](blocks, None) if name in _SUPER else _PLAIN[name](blocks)
    rows = x.reshape(-1, row)
    w = np.broadcast_to(weights, rows.shape)
    if name in _SUPER:
        return _SUPER[name](x.reshape(-1, length), w.reshape(-1, length))
    sigma = total((rows * rows).T) / F(row)
    w = w * np.sqrt(sigma[:, None] + rows * rows)
    return _ROWS[name](x.reshape(-1, length), w.reshape(-1, length))
