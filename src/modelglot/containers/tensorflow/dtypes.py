"""TensorFlow's element types by their numbers. Source: tensorflow/core/framework/types.proto, figures only."""

from __future__ import annotations

from typing import NamedTuple

from modelglot.core.dtype import DTYPES, DType

STRING, VARIANT = 7, 21


class Kind(NamedTuple):
    """``word`` as TensorFlow spells it; ``dtype`` is None for what is not numbers of whole bytes."""

    word: str
    dtype: DType | None


_TABLE = """
1 float f32     2 double f64      3 int32 i32      4 uint8 u8       5 int16 i16     6 int8 i8       7 string -
8 complex64 c64 9 int64 i64       10 bool bool     11 qint8 i8      12 quint8 u8    13 qint32 i32   14 bfloat16 bf16
15 qint16 i16   16 quint16 u16    17 uint16 u16    18 complex128 c128               19 half f16     20 resource -
21 variant -    22 uint32 u32     23 uint64 u64    24 float8_e5m2 f8_e5m2           25 float8_e4m3fn f8_e4m3
26 float8_e4m3fnuz f8_e4m3fnuz    28 float8_e5m2fnuz f8_e5m2fnuz
29 int4 -       30 uint4 -        31 int2 -        32 uint2 -
"""
_words = _TABLE.split()
KINDS: dict[int, Kind] = {
    int(number): Kind(word, DTYPES.get(ours))
    for number, word, ours in zip(_words[::3], _words[1::3], _words[2::3], strict=True)
}
_QUANTIZED = (11, 12, 13, 15, 16)
NUMBERS: dict[str, int] = {
    kind.dtype.name: number for number, kind in KINDS.items() if kind.dtype is not None and number not in _QUANTIZED
}


def is_quantized(number: int) -> bool:
    """True for the integer types whose meaning is a scale elsewhere (``qint8`` and the like)."""
    return number in _QUANTIZED


def kind(number: int) -> Kind:
    """The type of that number; 101 and more are references to 1 and more, as TensorFlow 1 variables have them."""
    plain = number - 100 if number > 100 else number
    return KINDS.get(plain, Kind(f"type {number}", None))
