"""The kernel ``map``: a function of every value, to float32. For the few small tensors whose dialects differ so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from modelglot.core.dtype import DTYPES
from modelglot.core.errors import UnsupportedError
from modelglot.kernels.arrays import as_array

FUNCTIONS = ("add", "negexp", "lognegated")


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
            made = -np.exp(values.astype(np.float32))
        else:
            made = np.log(-values.astype(np.float32))
    result: bytes = made.astype("<f4").tobytes()
    return result
