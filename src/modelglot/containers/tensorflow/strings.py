"""Text tensors as bundles store them: lengths as varints, a checksum of them, then the bytes of all."""

from __future__ import annotations

from modelglot.containers.protobuf_write import varint
from modelglot.core.errors import DamagedFileError
from modelglot.sources.checksums import crc32c, masked, unmasked


def decode(data: bytes, count: int) -> list[bytes]:
    """``count`` texts. Raises DamagedFileError where lengths, checksum and bytes do not agree."""
    lengths, at = list[int](), 0
    if count > len(data):
        raise DamagedFileError(f"{count:,} texts do not fit {len(data):,} bytes")
    for _ in range(count):
        value = shift = 0
        while True:
            if at >= len(data) or shift > 63:
                raise DamagedFileError("a text's length has no end")
            byte = data[at]
            value |= (byte & 127) << shift
            at, shift = at + 1, shift + 7
            if byte < 128:
                break
        lengths.append(value)
    if at + 4 + sum(lengths) != len(data):
        raise DamagedFileError(f"{count:,} texts need {at + 4 + sum(lengths):,} bytes, {len(data):,} are stored")
    if unmasked(int.from_bytes(data[at : at + 4], "little")) != _crc(lengths):
        raise DamagedFileError("the lengths of the texts do not match their checksum")
    at += 4
    found = []
    for length in lengths:
        found.append(data[at : at + length])
        at += length
    return found


def encode(texts: list[bytes]) -> tuple[bytes, int]:
    """What is stored for these texts, and its masked checksum."""
    crc = _crc([len(t) for t in texts])
    check = masked(crc).to_bytes(4, "little")
    crc = crc32c(b"".join(texts), crc32c(check, crc))
    return b"".join(varint(len(t)) for t in texts) + check + b"".join(texts), masked(crc)


def checks(data: bytes, texts: list[bytes], crc: int) -> bool:
    """True where ``crc`` (unmasked) is that of these texts, stored as ``data``."""
    return len(data) == len(encode(texts)[0]) and unmasked(encode(texts)[1]) == crc


def _crc(lengths: list[int]) -> int:
    value = 0
    for length in lengths:
        value = crc32c(length.to_bytes(4 if length < 1 << 32 else 8, "little"), value)
    return value
