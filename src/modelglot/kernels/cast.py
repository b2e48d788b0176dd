"""Element casts. Round to nearest, ties to even; what does not fit becomes infinity, as IEEE 754 and PyTorch do it."""

from __future__ import annotations

from typing import Any

import numpy as np

from modelglot.core.dtype import DTYPES, DType
from modelglot.core.errors import UnsupportedError
from modelglot.kernels.arrays import as_array, numpy_dtype
from modelglot.kernels.native import KINDS, library


def check_cast(source: DType, target: DType) -> None:
    """Raise UnsupportedError for casts that are not plain rounding between floats of whole bytes."""
    if source.kind != "float" or target.kind != "float" or min(source.bits, target.bits) < 8:
        raise UnsupportedError(f"no cast from `{source}` to `{target}`", hint="floats of 8 bits and more can be cast")


def cast(data: Any, params: Any) -> bytes | memoryview:
    """``data`` holds elements of dtype ``params['from']``; the result holds as many of ``params['to']``."""
    source, target = DTYPES[params["from"]], DTYPES[params["to"]]
    if source.name in KINDS and target.name in KINDS and source is not target and (native := library()) is not None:
        raw = np.frombuffer(data, np.uint8)
        out = np.empty(raw.size // source.itemsize * target.itemsize, np.uint8)
        native.caster(source.name, target.name)(raw.ctypes.data, raw.size // source.itemsize, out.ctypes.data)
        return out.data
    values = as_array(data, source, (-1,))
    through_f32 = {source.name, target.name} & {"bf16"} and {source.name, target.name} <= {"bf16", "f16", "f32"}
    with np.errstate(over="ignore", invalid="ignore"):
        if through_f32 and source.name != "f32":
            values = values.astype(np.float32)  # exact, and far faster than numpy's generic path
        return values.astype(numpy_dtype(target)).tobytes()
