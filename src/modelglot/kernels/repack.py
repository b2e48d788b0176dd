"""Codes of quantized weights in another order, bit by bit the same numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Parts = Mapping[str, Array]


def mxfp4_blocks(parts: Parts, params: Mapping[str, Any]) -> Array:
    """Neighbours in a byte and exponents apart -> ggml's blocks: the exponent, then numbers n and n + 16 in a byte."""
    codes = parts["codes"]
    each = np.stack((codes & 15, codes >> 4), -1).reshape(*codes.shape[:-1], 32)
    made = np.concatenate((parts["exponents"], each[..., :16] | each[..., 16:] << 4), -1)
    return made.reshape(params["shape"])


def mxfp4_halves(parts: Parts, params: Mapping[str, Any]) -> Array:
    """The codes of ggml's blocks, with neighbours in a byte again."""
    codes = parts["codes"]
    each = np.concatenate((codes & 15, codes >> 4), -1)
    made: Array = each[..., ::2] | each[..., 1::2] << 4
    return made
