"""What compression around a part hides. Streams may have several members, and a pickle may run across them.

What was inflated before a stream broke is looked at too: a loader would have run it already.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

from modelglot.containers.codecs import inflated
from modelglot.containers.pickle.window import Window
from modelglot.core.errors import LimitError, ModelFileError
from modelglot.core.notes import Finding
from modelglot.features.scan import lz4
from modelglot.features.scan.piece import Piece

Parts = Iterator["Piece | Finding"]
_STEP = 1 << 20


class _Decoder(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


_MAKERS: dict[str, Callable[[], _Decoder]] = {
    "gzip": lambda: zlib.decompressobj(31),
    "zlib": lambda: zlib.decompressobj(15),
    "bzip2": bz2.BZ2Decompressor,
    "lzma": lzma.LZMADecompressor,
}


def opener(codec: str, skip: int = 0) -> Callable[[Piece], Parts]:
    """The part inside one compressed with ``codec`` after ``skip`` bytes."""

    def parts(piece: Piece) -> Parts:
        made, problem = bytearray(), ""
        try:
            for data in _pieces(codec, piece, skip):
                made += data
                if len(made) > piece.limits.member:
                    raise LimitError(f"inflates to more than {piece.limits.member:,} bytes")
        except ModelFileError as error:
            problem = error.what
        except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
            problem = str(error)
        if made:
            yield piece.below(f"{codec} data", Window(data=bytes(made)), codec)
        if problem and (made or codec != "zlib"):  # two bytes of anything can look like the start of zlib
            yield piece.incomplete(f"what is compressed with {codec} cannot be read to its end: {problem}")

    return parts


def _raw(piece: Piece, skip: int) -> Iterator[bytes]:
    for at in range(skip, piece.window.length, _STEP):
        yield piece.window.read(at, min(_STEP, piece.window.length - at))


def _pieces(codec: str, piece: Piece, skip: int) -> Iterator[bytes]:
    if codec == "zstd":
        yield from inflated(codec, _raw(piece, skip), _STEP)
    elif codec == "lz4":
        yield from lz4.frames(piece.window)
    else:
        yield from _members(_MAKERS[codec], _raw(piece, skip))


def _members(make: Callable[[], _Decoder], raw: Iterator[bytes]) -> Iterator[bytes]:
    decoder, fed = make(), False
    for data in raw:
        while data or not (decoder.eof or getattr(decoder, "needs_input", True)):
            if decoder.eof:
                decoder, fed = make(), False
                data = data.lstrip(b"\0")  # padding between members
                continue
            made = decoder.decompress(data, _STEP)
            fed = True
            if made:
                yield made
            data = decoder.unused_data if decoder.eof else getattr(decoder, "unconsumed_tail", b"")
    if fed and not decoder.eof:
        raise EOFError("the data ends too early")
