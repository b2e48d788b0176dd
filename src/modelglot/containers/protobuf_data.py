"""Repeated numbers of a message in a file as the data of a tensor: described where they lie as they are, decoded later
where they are varints, held where a writer put a key before each."""

from __future__ import annotations

from collections.abc import Sequence

from modelglot.containers.protobuf import BYTES, VARINT, Field
from modelglot.core.dtype import DTYPES
from modelglot.core.errors import InvalidFileError
from modelglot.core.limits import Limits
from modelglot.core.tensor import Data, Derived, Extent, Inline, Stored, Tensor


def fixed(parts: Sequence[Field], need: int, file: int, limits: Limits) -> Data:
    """Bytes, or numbers of fixed width, that must be ``need`` bytes. ``file`` is the number of the file."""
    if len(parts) == 1 and parts[0].wire == BYTES and parts[0].length == need:
        return Stored((Extent(file, parts[0].at, need),))
    length = sum(part.length for part in parts)
    if length != need:
        at = parts[0].at if parts else None
        raise InvalidFileError(f"has {length:,} bytes of data, and its type and shape need {need:,}", offset=at)
    if all(part.wire == BYTES for part in parts):
        return Stored(tuple(Extent(file, part.at, part.length) for part in parts))
    limits.check("tree_values", len(parts), "elements one by one", offset=parts[0].at)
    return Inline(b"".join(bytes(part.bytes) for part in parts))


def numbers(parts: Sequence[Field], need: int, width: int, file: int, limits: Limits) -> Data:
    """Varints whose low ``width`` bytes are the elements, ``need`` bytes in all."""
    if all(part.wire == VARINT for part in parts):
        limits.check("tree_values", len(parts), "elements one by one", offset=parts[0].at if parts else None)
        _count(parts, len(parts), len(parts), need // width)
        mask = (1 << 8 * width) - 1
        return Inline(b"".join((part.number_value & mask).to_bytes(width, "little") for part in parts))
    length = sum(part.length for part in parts)
    _count(parts, -(-length // 10), length, need // width)
    packed = Stored(tuple(Extent(file, part.at, part.length) for part in parts))
    return decoded("varints", packed, length, need, width=width)


def decoded(kernel: str, packed: Data, length: int, need: int, **params: int | str) -> Derived:
    """``need`` bytes that a kernel makes of ``length`` packed ones."""
    operand = Tensor("packed", DTYPES["u8"], (length,), packed)
    shapes = {"inputs": ["data"], "dtypes": ["u8"], "shapes": [[length]], "shape": [need]}
    return Derived(kernel, (operand,), {**shapes, **params})


def _count(parts: Sequence[Field], least: int, most: int, need: int) -> None:
    if not least <= need <= most:
        raise InvalidFileError(
            f"has between {least:,} and {most:,} elements, and its shape needs {need:,}",
            offset=parts[0].at if parts else None,
        )
