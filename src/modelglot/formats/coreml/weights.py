"""``WeightParams`` of a Core ML neural network as a tensor: floats, halves, or integers with a scale or a table."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from modelglot.containers.protobuf import Field
from modelglot.containers.protobuf_data import decoded, fixed
from modelglot.core.dtype import DTYPES
from modelglot.core.errors import InvalidFileError
from modelglot.core.limits import Limits
from modelglot.core.tensor import Data, Tensor

_FLOATS, _HALVES, _RAW, _INT8, _QUANTIZATION = 1, 2, 30, 31, 40
_BITS, _LINEAR, _TABLE = 1, 101, 102


@dataclass(slots=True)
class Reader:
    """``number`` is the file's among the model's."""

    limits: Limits
    number: int

    def tensor(self, name: str, whole: Field, shape: tuple[int, ...] | None, extra: Mapping[str, Any]) -> Tensor | None:
        """None where the field is there and has nothing in it, as old writers leave it."""
        parts: dict[int, list[Field]] = {}
        for part in whole.fields():
            if part.number in (_FLOATS, _HALVES, _RAW, _INT8, _QUANTIZATION):
                parts.setdefault(part.number, []).append(part)
        quantization = parts.pop(_QUANTIZATION, None)
        parts = {number: found for number, found in parts.items() if any(part.length for part in found)}
        if not parts:
            return None
        if len(parts) > 1:
            raise InvalidFileError("has its weights in more than one field", offset=whole.at)
        ((number, found),) = parts.items()
        if number in (_RAW, _INT8):
            return self._integers(name, number, found[-1], shape, extra, quantization[-1] if quantization else None)
        width, dtype = (4, "f32") if number == _FLOATS else (2, "f16")
        length = sum(part.length for part in found)
        shape = shape if shape is not None else (length // width,)
        found = found if number == _FLOATS else found[-1:]
        return Tensor(
            name, DTYPES[dtype], shape, fixed(found, prod(shape) * width, self.number, self.limits), extra=extra
        )

    def _integers(
        self, name: str, number: int, raw: Field, shape: tuple[int, ...] | None, extra: Mapping[str, Any],
        quantization: Field | None,
    ) -> Tensor:  # fmt: skip
        bits, more = self._quantization(quantization)
        if not 1 <= bits <= 8:
            raise InvalidFileError(f"weights of {bits} bits", offset=raw.at)
        shape = shape if shape is not None else (raw.length * 8 // bits,)
        data: Data
        if bits == 8:
            data = fixed([raw], prod(shape), self.number, self.limits)
        else:
            need = -(-prod(shape) * bits // 8)
            data = decoded(
                "bits", fixed([raw], need, self.number, self.limits), need, prod(shape), width=bits, order="big"
            )
        return Tensor(name, DTYPES["i8" if number == _INT8 else "u8"], shape, data, extra={**extra, **more})

    def _quantization(self, whole: Field | None) -> tuple[int, dict[str, Any]]:
        """Bits of a number, and what the numbers stand for."""
        bits, found = 8, dict[str, Any]()
        for part in whole.fields() if whole else ():
            if part.number == _BITS:
                bits = part.number_value
            elif part.number == _LINEAR:
                found["coreml:scale"] = self._floats(part, 1)
                found["coreml:bias"] = self._floats(part, 2)
            elif part.number == _TABLE:
                found["coreml:table"] = self._floats(part, 1)
        return bits, {**found, "coreml:bits": bits}

    def _floats(self, whole: Field, number: int) -> tuple[float, ...]:
        raw = b"".join(bytes(part.bytes) for part in whole.fields() if part.number == number)
        if len(raw) % 4:
            raise InvalidFileError(f"{len(raw):,} bytes are no floats", offset=whole.at)
        return struct.unpack(f"<{len(raw) // 4}f", raw)
