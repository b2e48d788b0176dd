"""Numbers and text as Python source that means exactly them."""

from __future__ import annotations

import math
from typing import Any

TORCH = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 9: "bool", 10: "float16",
    11: "float64", 12: "uint32", 13: "uint64", 14: "complex64", 15: "complex128", 16: "bfloat16", 17: "float8_e4m3fn",
    18: "float8_e4m3fnuz", 19: "float8_e5m2", 20: "float8_e5m2fnuz", 24: "float8_e8m0fnu",
}  # fmt: skip
# Kinds of elements that torch has no dtype for, and the dtype whose values stand for theirs.
WIDER = {21: "uint8", 22: "int8", 25: "uint8", 26: "int8", 23: "float32", 27: "float32", 28: "float32"}
SMALL = {21: "uint4", 22: "int4", 25: "uint2", 26: "int2", 23: "float4_e2m1", 27: "float6_e2m3", 28: "float6_e3m2"}

PACKED = {21: 4, 22: 4, 25: 2, 26: 2}  # bits of integers that lie several in a byte


def dtype_name(number: int | None) -> str | None:
    """The torch dtype of an ONNX element type: ``float32``; None for text and what is not known."""
    return None if number is None else TORCH.get(number) or WIDER.get(number)


def dtype(name: str) -> str:
    return f"torch.{name}"


def text(value: str | bytes) -> str:
    """A string literal of ASCII characters."""
    made = ascii(value.decode("utf-8", "replace") if isinstance(value, bytes) else value)
    return f'"{made[1:-1]}"' if made[0] == "'" and '"' not in made and "\\'" not in made else made


def number(value: Any, kind: str = "float64") -> str:
    """A Python number that becomes exactly this one in the dtype ``kind``."""
    import numpy as np

    if kind == "bool":
        return str(bool(value))
    if "int" in kind:
        return str(int(value))
    if "complex" in kind:
        return f"complex({number(value.real)}, {number(value.imag)})"
    wide = float(value)
    if math.isnan(wide):
        return "torch.nan"
    if math.isinf(wide):
        return "torch.inf" if wide > 0 else "-torch.inf"
    return repr(float(str(np.float32(wide)))) if kind == "float32" else repr(wide)


def nested(array: Any, kind: str) -> str:
    """An array as nested lists."""
    if array.ndim == 0:
        return number(array[()], kind)
    return "[" + ", ".join(nested(inner, kind) for inner in array) + "]"


def items(codes: list[str]) -> str:
    """A tuple of expressions."""
    return f"({', '.join(codes)}{',' * (len(codes) == 1)})"
