"""Element types as the code has them (numbers of ``c10::ScalarType``), as ONNX has them, and which wins of two."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from modelglot.core.errors import UnsupportedError
from modelglot.formats.onnx.types import ELEMENTS, NUMBERS

_CODES = {0: "u8", 1: "i8", 2: "i16", 3: "i32", 4: "i64", 5: "f16", 6: "f32", 7: "f64", 9: "c64", 10: "c128",
          11: "bool", 15: "bf16"}  # fmt: skip
_OF_NAME = {name: code for code, name in _CODES.items()}
BOOL, INT64, FLOAT, DOUBLE = NUMBERS["bool"], NUMBERS["i64"], NUMBERS["f32"], NUMBERS["f64"]
OF_KIND = {"bool": BOOL, "int": INT64, "float": DOUBLE}
_RANK = ("bool", "u8", "i8", "i16", "i32", "i64", "f16", "bf16", "f32", "f64", "c64", "c128")
_NUMPY = {"bool": np.bool_, "u8": np.uint8, "i8": np.int8, "i16": np.int16, "i32": np.int32, "i64": np.int64,
          "f16": np.float16, "bf16": ml_dtypes.bfloat16, "f32": np.float32, "f64": np.float64}  # fmt: skip


def onnx_type(code: Any) -> int:
    """The number that ONNX has for a ``ScalarType``. Raises UnsupportedError."""
    if not isinstance(code, int) or code not in _CODES:
        raise UnsupportedError(f"the element type {code!r} of the code has no form in ONNX")
    return NUMBERS[_CODES[code]]


def torch_code(onnx: int) -> int:
    return _OF_NAME.get(ELEMENTS[onnx].name, 6)


def name(onnx: int) -> str:
    return ELEMENTS[onnx].name


def category(onnx: int) -> int:
    """0 bool, 1 integers, 2 floats, 3 complex numbers: a lower one gives way."""
    return {"bool": 0, "int": 1, "uint": 1, "float": 2, "complex": 3}.get(ELEMENTS[onnx].kind, 2)


def is_float(onnx: int) -> bool:
    return category(onnx) == 2


def wider(a: int, b: int) -> int:
    """The type of a result of two tensors, as PyTorch promotes them."""
    first, second = ELEMENTS[a].name, ELEMENTS[b].name
    if {first, second} == {"u8", "i8"}:
        return NUMBERS["i16"]
    if {first, second} == {"f16", "bf16"}:
        return FLOAT
    return a if _RANK.index(first) >= _RANK.index(second) else b


def of_number(number: object) -> int:
    """The type that a Python number alone would be a tensor of."""
    return BOOL if isinstance(number, bool) else INT64 if isinstance(number, int) else FLOAT


def limits(onnx: int) -> tuple[float, float]:
    """The smallest and the largest number of a float type."""
    found: Any = ml_dtypes.finfo(numpy_type(onnx))  # type: ignore[no-untyped-call]
    return float(found.min), float(found.max)


def numpy_type(onnx: int) -> Any:
    """Raises UnsupportedError for a type that numpy lacks."""
    found = _NUMPY.get(ELEMENTS[onnx].name)
    if found is None:
        raise UnsupportedError(f"constants of `{ELEMENTS[onnx].name}` are not made")
    return found
