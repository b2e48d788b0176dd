"""Element types of ONNX by their number in ``TensorProto.DataType``, and the field of each where it is not raw."""

from __future__ import annotations

from modelglot.core.dtype import DTYPES, DType

STRING = 8
FLOATS, INTS32, STRINGS, INTS64, RAW, DOUBLES, UINTS64 = 4, 5, 6, 7, 9, 10, 11  # fields of a TensorProto
_NAMES = {
    1: "f32", 2: "u8", 3: "i8", 4: "u16", 5: "i16", 6: "i32", 7: "i64", 9: "bool", 10: "f16", 11: "f64", 12: "u32",
    13: "u64", 14: "c64", 15: "c128", 16: "bf16", 17: "f8_e4m3", 18: "f8_e4m3fnuz", 19: "f8_e5m2", 20: "f8_e5m2fnuz",
    21: "u4", 22: "i4", 23: "f4_e2m1", 24: "f8_e8m0", 25: "u2", 26: "i2", 27: "f6_e2m3", 28: "f6_e3m2",
}  # fmt: skip
ELEMENTS: dict[int, DType] = {number: DTYPES[name] for number, name in _NAMES.items()}
NUMBERS = {name: number for number, name in _NAMES.items()}
_IR = {"bf16": 4, "f8_e4m3": 9, "f8_e4m3fnuz": 9, "f8_e5m2": 9, "f8_e5m2fnuz": 9, "u4": 10, "i4": 10, "f4_e2m1": 11,
       "f8_e8m0": 12, "u2": 13, "i2": 13, "f6_e2m3": 14, "f6_e3m2": 14}  # fmt: skip


def data_field(dtype: DType) -> int:
    """The typed field for elements of this type: floats and doubles lie there as they are, the others as varints."""
    if dtype.name in ("f32", "c64"):
        return FLOATS
    if dtype.name in ("f64", "c128"):
        return DOUBLES
    return {"i64": INTS64, "u64": UINTS64, "u32": UINTS64}.get(dtype.name, INTS32)


def ir_version(names: set[str]) -> int:
    """The oldest version of the format that has all these dtypes; 8 is what every runtime of today reads."""
    return max([8, *(_IR.get(name, 8) for name in names)])


def word(number: int) -> str:
    """A type as people read it in a port."""
    return "string" if number == STRING else ELEMENTS[number].name if number in ELEMENTS else f"type {number}"
