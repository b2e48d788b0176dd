"""Numbers of less than a byte as bytes, for widths and orders that no dtype has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from modelglot.core.errors import InvalidFileError


def bits(parts: Mapping[str, Any], params: Mapping[str, Any]) -> np.ndarray[Any, Any]:
    """Numbers of ``width`` bits, one after another over the bytes of ``data``; ``order`` is that of the bits in a byte:
    ``big`` or ``little``. Raises InvalidFileError where there are too few."""
    width, order, (count,) = int(params["width"]), params["order"], params["shape"]
    if len(parts["data"]) * 8 < count * width:
        raise InvalidFileError(f"{count:,} numbers of {width} bits do not fit {len(parts['data']):,} bytes")
    single = np.unpackbits(parts["data"], count=count * width, bitorder=order).reshape(count, width)
    places = np.arange(width, dtype="u1")
    made: np.ndarray[Any, Any] = (single << (places[::-1] if order == "big" else places)).sum(axis=1, dtype="u1")
    return made
