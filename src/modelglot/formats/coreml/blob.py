"""The weight file of an ML program, version 2: a header, then for each value 64 bytes about it, and its bytes."""

from __future__ import annotations

import struct
from typing import NamedTuple

from modelglot.core.errors import DamagedFileError, InvalidFileError, UnsupportedError
from modelglot.core.format import Source

_HEADER = struct.Struct("<II")  # count, version
_ENTRY = struct.Struct("<IIQQ")  # mark, type, bytes, where they begin
_MARK = 0xDEADBEEF


class Blob(NamedTuple):
    offset: int
    length: int
    type: int


def check_header(source: Source) -> None:
    """Raises UnsupportedError for another version."""
    if source.size < _HEADER.size:
        raise DamagedFileError("too short for a weight file", path=source.path, hint="the download may be incomplete")
    _, version = _HEADER.unpack(source.pread(0, _HEADER.size))
    if version != 2:
        raise UnsupportedError(f"version {version} of weight files; 2 is known", path=source.path)


def blob(source: Source, at: int) -> Blob:
    """The value described at ``at``. Raises InvalidFileError, DamagedFileError."""
    if at + _ENTRY.size > source.size:
        raise DamagedFileError(
            "its description lies after the end of the weight file", path=source.path, offset=at,
            hint="the download may be incomplete",
        )  # fmt: skip
    mark, kind, length, offset = _ENTRY.unpack(source.pread(at, _ENTRY.size))
    if mark != _MARK:
        raise InvalidFileError("no value is described there in the weight file", path=source.path, offset=at)
    if offset + length > source.size:
        raise DamagedFileError(
            f"its data ends {offset + length - source.size:,} bytes after the end of the weight file",
            path=source.path, offset=offset, hint="the download may be incomplete",
        )  # fmt: skip
    return Blob(offset, length, kind)
