"""What a PyTorch file calls our dtypes: storage classes, and for newer dtypes torch's own name on untyped storages."""

from __future__ import annotations

V2 = {
    "f64": "Double", "f32": "Float", "f16": "Half", "bf16": "BFloat16", "i64": "Long", "i32": "Int", "i16": "Short",
    "i8": "Char", "u8": "Byte", "bool": "Bool", "c64": "ComplexFloat", "c128": "ComplexDouble",
}  # fmt: skip
V3 = {
    "u16": "uint16", "u32": "uint32", "u64": "uint64", "c32": "complex32", "f8_e4m3": "float8_e4m3fn",
    "f8_e5m2": "float8_e5m2", "f8_e4m3fnuz": "float8_e4m3fnuz", "f8_e5m2fnuz": "float8_e5m2fnuz",
    "f8_e8m0": "float8_e8m0fnu", "f4_e2m1": "float4_e2m1fn_x2",
}  # fmt: skip
DTYPES = frozenset((*V2, *V3))
