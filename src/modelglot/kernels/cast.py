"""Casts of plain elements, chunk by chunk.

Float to float: nearest, ties to even, of the exact value. Too large becomes infinite; in `f8_e4m3`, which has no
infinity, the largest number, as in PyTorch and ONNX; in the fnuz types NaN. NaN stays NaN. With ``rounding`` set to
``stochastic`` each number becomes one of its two neighbours, the nearer the likelier. Integers: see
`modelglot.kernels.integers`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from modelglot.core.dtype import DTYPES, DType
from modelglot.core.errors import UnsupportedError
from modelglot.core.unusual import Unusual
from modelglot.kernels.arrays import Buffer, as_array, numpy_dtype
from modelglot.kernels.integers import to_floats, to_integers
from modelglot.kernels.native import CAST_KINDS, library
from modelglot.kernels.rounding import FLOATS, by_chance, nearest, unkept

Seen = Callable[[Unusual], None]


def cast(
    data: Any, params: Mapping[str, Any], first: int = 0, seen: Seen | None = None, buffer: Buffer | None = None
) -> bytes | memoryview:
    """``data`` holds elements of dtype ``params['from']``; the result holds as many of ``params['to']``.

    ``first`` is the index of the first element in its tensor, which stochastic rounding depends on (with
    ``params['key']``); ``seen`` is told what could not be kept; the result may lie in ``buffer``.
    """
    source, target = DTYPES[params["from"]], DTYPES[params["to"]]
    check_cast(source, target)
    if source.kind != "float" or target.kind != "float":
        return _integers(data, source, target, seen)
    stochastic = params.get("rounding") == "stochastic" and target.name in FLOATS
    key = int(params["key"]) if stochastic else 0
    native = library()
    if native is not None and source.name in CAST_KINDS and target.name in CAST_KINDS and source is not target:
        raw, counts = np.frombuffer(data, np.uint8), np.zeros(3, np.int64)
        count = raw.size // source.itemsize
        out = (buffer or Buffer()).take(count * target.itemsize)
        start = (raw.ctypes.data, CAST_KINDS[source.name], count, out.ctypes.data, CAST_KINDS[target.name])
        if stochastic:
            native.caster_by_chance()(*start, key, first, counts.ctypes.data)
        else:
            native.caster()(*start, counts.ctypes.data)
        _tell(seen, Unusual(*counts.tolist()))
        return out.data
    values = as_array(data, source, (-1,))
    if seen is not None:
        _tell(seen, unkept(values, target))
    return (by_chance(values, target, key, first) if stochastic else nearest(values, target)).tobytes()


def check_cast(source: DType, target: DType) -> None:
    """Raise UnsupportedError where there is no cast: complex numbers, elements smaller than a byte, to bool."""
    known = source.kind in ("float", "int", "uint", "bool") and target.kind in ("float", "int", "uint")
    if not known or min(source.bits, target.bits) < 8:
        raise UnsupportedError(
            f"no cast from `{source}` to `{target}`", hint="floats and integers of 8 bits and more can be cast"
        )


def _integers(data: Any, source: DType, target: DType, seen: Seen | None) -> bytes:
    values = as_array(data, source if source.kind != "bool" else DTYPES["u8"], (-1,))
    if source.kind == "bool":
        values = (values != 0).astype(np.uint8)
    if target.kind != "float":
        made, unusual = to_integers(values, target)
        _tell(seen, unusual)
        return made.tobytes()
    if target.name in ("f64", "f32"):
        return values.astype(numpy_dtype(target)).tobytes()
    wide = to_floats(values)
    if seen is not None:
        _tell(seen, unkept(wide, target))
    return nearest(wide, target).tobytes()


def _tell(seen: Seen | None, unusual: Unusual) -> None:
    if seen is not None and any(unusual):
        seen(unusual)
