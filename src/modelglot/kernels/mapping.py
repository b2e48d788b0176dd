"""The kernels ``map``, a function of every value, and ``divided``, for small tensors whose dialects differ so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from modelglot.core.dtype import DTYPES
from modelglot.core.errors import UnsupportedError
from modelglot.kernels.arrays import as_array

Array = np.ndarray[Any, Any]


def mapped(data: Any, params: Mapping[str, Any]) -> bytes | memoryview:
    """``params``: ``from`` (a float dtype), ``function``: ``add`` (``by``), ``negexp`` (-e^x), ``lognegated`` (log -x).

    float16 is added to in float16, anything else in float32: what PyTorch gives. Raises UnsupportedError for what is
    no float.
    """
    source = DTYPES.get(params["from"])
    if source is None or source.kind != "float":
        raise UnsupportedError(f"no arithmetic on `{params['from']}`", hint="decode it first with `--dtype f32`")
    values = as_array(data, source, (-1,))
    values = values if source.name in ("f16", "f32") else values.astype(np.float32)
    with np.errstate(all="ignore"):
        if params["function"] == "add":
            made = values + values.dtype.type(params["by"])
        elif params["function"] == "negexp":
            made = -_exponential(values.astype(np.float32))
        else:
            made = _logarithm(-values.astype(np.float32))
    result: bytes = made.astype("<f4").tobytes()
    return result


def divided(parts: Mapping[str, Array], params: Mapping[str, Any]) -> Array:
    """Values over a factor as Caffe computes it: times its reciprocal in float32, and zero where the factor is."""
    factor = parts["factor"].reshape(())
    reciprocal = np.float32(1) / factor if factor else np.float32(0)
    made: Array = parts["values"] * reciprocal
    return made


def _exponential(values: Array) -> Array:
    """The nearest float32, on every machine."""
    found: Array = np.exp(values.astype(np.float64)).astype(np.float32)
    return found


def _logarithm(values: Array) -> Array:
    """The roundest number whose exponential this is: what was bfloat16 or float16 before `negexp` is found again."""
    exact = np.log(values.astype(np.float64))
    made = exact.astype(np.float32)
    raw = made.view(np.uint32)
    short = ((raw + 0x7FFF + (raw >> 16 & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)  # as bfloat16
    for rounder in (made.astype(np.float16).astype(np.float32), short):
        made = np.where(_exponential(rounder) == values, rounder, made)
    return made
