"""The bytes a pickle stream lies in: part of a file, or a buffer. Offsets are relative to the stream's first byte."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from modelglot.core.errors import DamagedFileError
from modelglot.core.format import Source
from modelglot.core.tensor import Extent, Stored


class Window:
    """``length`` bytes at ``offset`` of a source, or ``data`` in memory."""

    __slots__ = ("data", "length", "offset", "source")

    def __init__(self, source: Source | None = None, offset: int = 0, length: int = 0, data: bytes = b"") -> None:
        self.source, self.offset, self.data = source, offset, data
        self.length = len(data) if source is None else length

    def read(self, at: int, length: int) -> bytes:
        """Exactly ``length`` bytes; DamagedFileError where the stream is shorter."""
        if at < 0 or length < 0 or at + length > self.length:
            raise DamagedFileError(
                f"the pickle ends {at + length - self.length:,} bytes too early",
                offset=at,
                detail=f"needs bytes {at:,}-{at + length:,}; there are {self.length:,}",
                hint="the file may be incomplete",
            )
        if self.source is None:
            return self.data[at : at + length]
        return self.source.pread(self.offset + at, length)


@dataclass(frozen=True, slots=True)
class Blob:
    """A large bytes operand that was left where it is: ``length`` bytes at ``offset`` of the window."""

    offset: int
    length: int


class Place(NamedTuple):
    """Where the window lies in the model's files, so that a `Blob` can be described as `Stored`.

    ``extent`` is the member or the file; with ``codec`` deflate offsets count in its inflated bytes.
    """

    extent: Extent
    base: int = 0  # of the window in the extent

    def stored(self, blob: Blob, strides: tuple[int, ...] | None, byteorder: str) -> Stored:
        at = self.base + blob.offset
        if self.extent.codec != "raw":
            return Stored((self.extent,), strides, byteorder, at)
        return Stored((Extent(self.extent.file, self.extent.offset + at, blob.length),), strides, byteorder)
