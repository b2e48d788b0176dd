"""Kernels by the name a `Derived` tensor carries. Those of `_TABLE` are element-wise: chunk in, chunk out.

``arrange`` (units in another order), ``concat`` (one after another), ``assemble`` (boxes at their places) and
``unshuffle`` (bytes grouped by place, put back into elements) move bytes only: the engine does them itself. So it
does ``planes`` (`modelglot.kernels.turning`), which reads rows and gives columns.
``quantize`` and ``dequantize`` need chunks of whole blocks (`modelglot.core.encoding.BLOCKS`), and ``quantize`` with
an importance matrix chunks of whole rows. Those of `_WHOLE` need all parts of a weight and give float32 or codes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

from modelglot.core.unusual import Unusual

Seen = Callable[[Unusual], None]
Kernel = Callable[[Any, Mapping[str, Any]], "bytes | memoryview"]

_TABLE = {
    "cast": "modelglot.kernels.cast:cast",
    "map": "modelglot.kernels.mapping:mapped",
    "dequantize": "modelglot.kernels.dequantize:dequantize",
    "quantize": "modelglot.kernels.quantize:quantize",
}


_WHOLE = {name: f"modelglot.kernels.methods:{name}" for name in (
    "gptq", "awq", "packed", "scaled", "nvfp4", "mxfp4", "mlx", "bnb4", "bnb8")}  # fmt: skip
_WHOLE |= {name: f"modelglot.kernels.methods_torch:{name}" for name in ("hqq", "torchao")}
_WHOLE |= {
    "divided": "modelglot.kernels.mapping:divided",
    "varints": "modelglot.kernels.varints:varints",
    "bits": "modelglot.kernels.bits:bits",
    "blocks": "modelglot.kernels.turning:blocks",
}
_WHOLE |= {name: f"modelglot.kernels.repack:{name}" for name in ("mxfp4_blocks", "mxfp4_halves")}


def needs_all(name: str) -> bool:
    """True for kernels that cannot work chunk by chunk."""
    return name in _WHOLE


def whole(name: str, data: Sequence[Any], params: Mapping[str, Any]) -> memoryview:
    """Run a kernel of `_WHOLE` on the bytes of its parts; ``params`` names them with dtypes and shapes.

    Returns the result as contiguous little-endian float32, codes as bytes.
    Raises InvalidFileError where parts do not fit together.
    """
    import numpy as np

    from modelglot.core.dtype import DTYPES
    from modelglot.core.errors import InvalidFileError
    from modelglot.kernels.arrays import as_array

    parts = {}
    for suffix, raw, dtype, shape in zip(params["inputs"], data, params["dtypes"], params["shapes"], strict=True):
        array = as_array(raw, DTYPES[dtype], tuple(shape))
        parts[suffix] = array.astype(np.float32) if DTYPES[dtype].kind == "float" else array
    module, function = _WHOLE[name].split(":")
    try:
        made = getattr(import_module(module), function)(parts, params)
    except (IndexError, ValueError, TypeError, KeyError, OverflowError) as error:
        raise InvalidFileError(f"the parts of this {name} weight do not fit together: {error}") from None
    if list(made.shape) != list(params["shape"]):
        raise InvalidFileError(f"the parts give the shape {list(made.shape)}, not {params['shape']}")
    return np.ascontiguousarray(made, "u1" if made.dtype == np.uint8 else "<f4").data.cast("B")


_COUNTS = ("cast", "dequantize")  # kernels that are told where in its tensor a chunk lies, and tell what they lose


def counts(name: str) -> bool:
    return name in _COUNTS


def counting(name: str, params: Mapping[str, Any], seen: Seen | None) -> Callable[[Any, int], bytes | memoryview]:
    """The kernel as a function of a chunk and the index of its first element. Its result is good until the next."""
    run: Any = kernel(name)
    if name in _COUNTS:
        from modelglot.kernels.arrays import Buffer

        buffer = Buffer()
        return lambda data, first: run(data, params, first, seen, buffer)
    return lambda data, _: run(data, params)


def kernel(name: str) -> Kernel:
    module, function = _TABLE[name].split(":")
    found: Kernel = getattr(import_module(module), function)
    return found
