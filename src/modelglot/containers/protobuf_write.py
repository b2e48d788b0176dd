"""Protocol buffers made: fields of a message as bytes."""

from __future__ import annotations

from modelglot.containers.protobuf import BYTES, VARINT


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def head(number: int, length: int) -> bytes:
    """What stands before the ``length`` bytes of a field."""
    return varint(number << 3 | BYTES) + varint(length)


def delimited(number: int, data: bytes | str) -> bytes:
    """A field of bytes, text or a nested message."""
    raw = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
    return head(number, len(raw)) + raw


def integer(number: int, value: int) -> bytes:
    """A field of a number, negative ones as the wire has them."""
    return varint(number << 3 | VARINT) + varint(value & 0xFFFF_FFFF_FFFF_FFFF)
