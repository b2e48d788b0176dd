"""Numbers of variable length (protocol buffers) as elements of fixed width."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from modelglot.core.errors import InvalidFileError


def varints(parts: Mapping[str, Any], params: Mapping[str, Any]) -> np.ndarray[Any, Any]:
    """The packed numbers of ``data`` as little-endian bytes: the low ``width`` bytes of each, negative ones included.

    Raises InvalidFileError where they are not as many as planned, or one does not end.
    """
    data, width = parts["data"], int(params["width"])
    ends = np.flatnonzero(data < 0x80)
    if len(data) and (not len(ends) or ends[-1] != len(data) - 1):
        raise InvalidFileError("the data ends inside a number")
    starts = np.concatenate(([0], ends[:-1] + 1)) if len(ends) else ends
    lengths = ends - starts + 1
    if len(lengths) and lengths.max() > 10:
        raise InvalidFileError("a number of more than ten bytes")
    values = np.zeros(len(ends), "<u8")
    for place in range(int(lengths.max()) if len(lengths) else 0):
        long = lengths > place
        values[long] |= (data[starts[long] + place].astype("<u8") & 0x7F) << np.uint64(7 * place)
    return values.astype(f"<u{width}").view("u1")
