"""Compressed extents, inflated a piece at a time: a small file cannot fill the memory."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator

from modelglot.containers import snappy
from modelglot.core.errors import DamagedFileError, LimitError, MissingExtraError, UnsupportedError
from modelglot.core.limits import Limits

Raw = Iterator[bytes]
_WINDOW = {"deflate": -15, "zlib": 15, "gzip": 31}  # what zlib calls each wrapping of the same compression


def inflated(codec: str, raw: Raw, size: int) -> Iterator[bytes]:
    """The decoded bytes of ``raw`` in pieces of at most ``size``.

    Raises DamagedFileError for data that is not of that codec, UnsupportedError for an unknown one.
    """
    if codec in _WINDOW:
        yield from _zlib(_WINDOW[codec], raw, size)
    elif codec == "zstd":
        yield from _zstd(raw, size)
    elif codec == "snappy":
        yield snappy.decode(b"".join(raw), Limits())  # a whole block: its writer bounds it
    else:
        raise UnsupportedError(f"no reader for the codec `{codec}`")


def _zlib(window: int, raw: Raw, size: int) -> Iterator[bytes]:
    inflater = zlib.decompressobj(window)
    for data in raw:
        while data:
            try:
                made = inflater.decompress(data, size)
            except zlib.error as error:
                raise DamagedFileError(f"the compressed data is damaged: {error}") from None
            data = inflater.unconsumed_tail
            if made:
                yield made


def _zstd(raw: Raw, size: int) -> Iterator[bytes]:
    try:
        import zstandard
    except ImportError:
        raise MissingExtraError(
            "these tensors are compressed with zstd", hint="pip install 'modelglot[zstd]'"
        ) from None
    reader = zstandard.ZstdDecompressor().stream_reader(io.BufferedReader(_Pulled(raw)))
    while True:
        try:
            made = reader.read(size)
        except zstandard.ZstdError as error:
            raise DamagedFileError(f"the compressed data is damaged: {error}") from None
        if not made:
            return
        yield made


class _Pulled(io.RawIOBase):
    """An iterator of bytes as a file that can be read once."""

    def __init__(self, raw: Raw) -> None:
        self._raw, self._held = raw, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed wants any writable buffer
        if not self._held:
            self._held = next(self._raw, b"")
        count = min(len(buffer), len(self._held))
        buffer[:count] = self._held[:count]
        self._held = self._held[count:]
        return count


def skipping(pieces: Iterator[bytes], skip: int, most: int, size: int) -> Iterator[bytes]:
    """``most`` bytes after the first ``skip``, in pieces of ``size`` but the last."""
    held = bytearray()
    for piece in pieces:
        if most <= 0:
            return
        held += piece
        if skip:
            dropped = min(skip, len(held))
            del held[:dropped]
            skip -= dropped
        while len(held) >= size and most > 0:
            full = bytes(held[: min(size, most)])
            del held[: len(full)]
            most -= len(full)
            yield full
    if most > 0 and held:
        yield bytes(held[:most])


def whole(codec: str, data: bytes, most: int) -> bytes:
    """All decoded bytes of ``data``, which may be ``most``. Raises LimitError beyond."""
    if codec == "raw":
        return data
    made = bytearray()
    for piece in inflated(codec, iter((data,)), 1 << 20):
        made += piece
        if len(made) > most:
            raise LimitError(
                f"inflates to more than {most:,} bytes", hint="if the file is trusted, raise `--limit member`"
            )
    return bytes(made)
