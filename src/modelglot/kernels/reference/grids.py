"""The grids of the IQ1, IQ2 and IQ3 blocks, unpacked on first use."""

from __future__ import annotations

from base64 import b85decode
from functools import cache
from typing import Any

import numpy as np

from modelglot.kernels.reference.grid_tables import PACKED

# 128 patterns of eight signs: the seven stored bits, and an eighth that makes the number of minus signs even.
SIGNS: np.ndarray[Any, Any] = np.array([n | n.bit_count() % 2 << 7 for n in range(128)], np.uint8)


@cache
def grid(name: str) -> np.ndarray[Any, Any]:
    """(points, 4 or 8), uint8; int8 for ``iq1_s``."""
    values, length, packed = PACKED[name]
    bits = (len(values) - 1).bit_length()
    raw = np.unpackbits(np.frombuffer(b85decode(packed), np.uint8), bitorder="little")
    index = np.packbits(raw[: raw.size // bits * bits].reshape(-1, bits), axis=1, bitorder="little").reshape(-1, length)
    return np.array(values, np.int8 if min(values) < 0 else np.uint8)[index]
