"""Logical element types, by the names used everywhere in modelglot.

A dtype says what one element means; how elements become bytes is an encoding (`modelglot.core.encoding`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DType:
    """``bits`` per element; ``kind`` is float, int, uint, bool, complex or opaque (bytes nobody interprets)."""

    name: str
    bits: int
    kind: str

    @property
    def itemsize(self) -> int:
        """Bytes of one element; 0 where an element is smaller than a byte."""
        return self.bits // 8

    @property
    def swap(self) -> int:
        """Width in bytes of the unit that changes with byte order (complex numbers swap by halves)."""
        return self.itemsize // 2 if self.kind == "complex" else self.itemsize

    def __str__(self) -> str:
        return self.name


_TABLE = """
f64 64 float    f32 32 float     f16 16 float     bf16 16 float
f8_e4m3 8 float f8_e5m2 8 float  f8_e4m3fnuz 8 float f8_e5m2fnuz 8 float f8_e8m0 8 float
f6_e2m3 6 float f6_e3m2 6 float  f4_e2m1 4 float
i64 64 int      i32 32 int       i16 16 int       i8 8 int   i4 4 int   i2 2 int
u64 64 uint     u32 32 uint      u16 16 uint      u8 8 uint  u4 4 uint  u2 2 uint  u1 1 uint
bool 8 bool     c32 32 complex   c64 64 complex   c128 128 complex      opaque 8 opaque
"""
_words = _TABLE.split()
DTYPES: dict[str, DType] = {
    name: DType(name, int(bits), kind) for name, bits, kind in zip(_words[::3], _words[1::3], _words[2::3], strict=True)
}


def dtype(name: str) -> DType:
    """The dtype of that name. Raises KeyError: names come from code, never straight from a file."""
    return DTYPES[name]
