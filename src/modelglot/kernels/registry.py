"""Kernels by the name a `Derived` tensor carries. All of them are element-wise: chunk in, chunk out.

``quantize`` and ``dequantize`` need chunks of whole blocks (`modelglot.core.encoding.BLOCKS`), and ``quantize`` with
an importance matrix chunks of whole rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

Kernel = Callable[[Any, Mapping[str, Any]], "bytes | memoryview"]

_TABLE = {
    "cast": "modelglot.kernels.cast:cast",
    "dequantize": "modelglot.kernels.dequantize:dequantize",
    "quantize": "modelglot.kernels.quantize:quantize",
}


def kernel(name: str) -> Kernel:
    module, function = _TABLE[name].split(":")
    found: Kernel = getattr(import_module(module), function)
    return found
