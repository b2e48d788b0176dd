"""llama.cpp's importance matrix in its first, binary form (``imatrix.dat``), little-endian.

A count of entries; for each: the length of a name, the name, how often it was seen, a count, that many float32 sums of
squares. Newer files are GGUF. Source: llama.cpp, tools/imatrix.
"""

from __future__ import annotations

import struct
from array import array

from modelglot.core.errors import DamagedFileError, InvalidFileError
from modelglot.core.format import Source


def read(source: Source) -> dict[str, list[float]]:
    """Mean squares by tensor name. Raises DamagedFileError and InvalidFileError with the offset."""
    at = 0

    def number(what: str) -> int:
        nonlocal at
        if at + 4 > source.size:
            raise DamagedFileError(f"ends before {what}", path=source.path, offset=at)
        (value,) = struct.unpack("<i", source.pread(at, 4))
        at += 4
        return int(value)

    found: dict[str, list[float]] = {}
    entries = number("the count of entries")
    if not 0 < entries <= source.size // 16:
        raise InvalidFileError(f"{entries:,} entries cannot be in {source.size:,} bytes", path=source.path, offset=0)
    for _ in range(entries):
        length = number("a name's length")
        if not 0 < length <= source.size - at:
            raise InvalidFileError(f"a name of {length:,} bytes", path=source.path, offset=at - 4)
        name = source.pread(at, length).decode("utf-8", "surrogateescape")
        at += length
        calls, count = number("a call count"), number("a value count")
        if not 0 < count <= (source.size - at) // 4:
            raise DamagedFileError(f"{count:,} values are not there", path=source.path, offset=at, tensor=name)
        values = array("f", source.pread(at, count * 4))
        at += count * 4
        found[name] = [v / calls for v in values] if calls > 0 else list(values)
    return found
