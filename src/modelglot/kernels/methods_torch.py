"""Decoders of HQQ and torchao: parts of one weight in, float32 out, as in `modelglot.kernels.methods`."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from modelglot.core.errors import InvalidFileError
from modelglot.kernels.methods import Array, Parts

# How far up the numbers of one word are, the first rows first.
SHIFTS = {"8bit_u8": (0,), "4bit_u8": (4, 0), "2bit_u8": (6, 4, 2, 0), "1bit_u8": (7, 6, 5, 4, 3, 2, 1, 0),
          "3bit_32": (27, 24, 21, 18, 15, 12, 9, 6, 3, 0)}  # fmt: skip
BITS = {"8bit_u8": 8, "4bit_u8": 4, "2bit_u8": 2, "1bit_u8": 1, "3bit_32": 3}


def hqq(parts: Parts, params: Mapping[str, Any]) -> Array:
    """(q - zero) * scale over groups; the rows of groups are cut in as many runs as a word has numbers."""
    packing = bytes(parts["packing"].astype(np.uint8)).decode("ascii", "replace")
    if packing not in SHIFTS:
        raise InvalidFileError("the packing of this HQQ weight is none that is known")
    words = parts["W_q"]
    unsigned = words.view(np.uint32) if words.dtype.itemsize == 4 else words
    mask = unsigned.dtype.type((1 << BITS[packing]) - 1)
    q = np.concatenate([unsigned >> unsigned.dtype.type(s) & mask for s in SHIFTS[packing]])
    q = q[: prod(params["shape"]) // max(1, q.shape[1])]  # 3 bits: ten in a word, the last rows are filling
    return ((q.astype(np.float32) - parts["zero"]) * parts["scale"]).reshape(params["shape"])


def torchao(parts: Parts, params: Mapping[str, Any]) -> Array:
    """(q - zero point) * scale; each scale is for a block of as many elements as the shapes say."""
    q = parts["_weight_qdata"].astype(np.float32)
    if "_weight_zero_point" in parts:
        q = q - _spread(parts["_weight_zero_point"].astype(np.float32), q.shape)
    return q * _spread(parts["_weight_scale"], q.shape)


def _spread(values: Array, shape: tuple[int, ...]) -> Array:
    if values.ndim != len(shape):
        return values.reshape(-1, *[1] * (len(shape) - 1))  # one for all, or one a row
    for axis, size in enumerate(shape):
        values = np.repeat(values, -(-size // values.shape[axis]), axis) if values.shape[axis] > 1 else values
    return values
