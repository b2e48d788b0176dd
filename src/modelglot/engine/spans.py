"""Runs of bytes of an output file: what one worker sends to a store, in parts, without a disk in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from modelglot.core.errors import located
from modelglot.core.layout import Layout, OutFile, Piece
from modelglot.core.model import FileRef
from modelglot.engine.move import Item, Written, move
from modelglot.engine.pool import kept_pool
from modelglot.engine.stream import Open
from modelglot.sources.remote import uploads
from modelglot.sources.remote.uploads import Upload

Report = Callable[[int, str], None]  # (bytes, tensor)


class Span(NamedTuple):
    """Bytes from ``start`` to ``stop`` of the output ``file``: literal pieces and steps by their offsets, zeros
    between. Its parts count from ``first``."""

    file: int
    start: int
    stop: int
    first: int
    upload: Upload
    held: tuple[Piece | Item, ...]

    @property
    def items(self) -> Iterator[Item]:
        return (x for x in self.held if isinstance(x, Item))


class Sent(NamedTuple):
    """``tags`` is what the store calls the parts, by number."""

    file: int
    tags: dict[int, str]
    written: list[Written]


def can_stream(layout: Layout) -> bool:
    """True where bytes can be sent in their order: none is known only later, and none is written twice."""
    return not any(file.fixups for file in layout.files) and all(map(_is_ordered, layout.files))


def _is_ordered(file: OutFile) -> bool:
    at = 0
    for offset, stop in sorted([(p.offset, p.offset + len(p.data)) for p in file.pieces]
                               + [(s.offset, s.offset + s.length) for s in file.slots]):  # fmt: skip
        if offset < at:
            return False
        at = stop
    return True


def spans(number: int, file: OutFile, items: list[Item], upload: Upload) -> Iterator[Span]:
    """All of a file, cut between tensors: of two parts at least, but the last."""
    places: list[tuple[int, int, Piece | Item]] = [(p.offset, len(p.data), p) for p in file.pieces]
    places += [(item.step.offset, item.step.length, item) for item in items]
    start, first, held = 0, 1, list[Piece | Item]()
    for offset, _, what in sorted(places, key=lambda place: place[:2]):
        if held and offset - start >= 2 * upload.part:
            yield Span(number, start, offset, first, upload, tuple(held))
            first += _parts(offset - start, upload)
            start, held = offset, []
        held.append(what)
    yield Span(number, start, file.size, first, upload, tuple(held))


def _parts(length: int, upload: Upload) -> int:
    return max(1, length // upload.part)


def span_nbytes(span: Span) -> int:
    return span.stop - span.start


def send(span: Span, sources: Open, report: Report) -> Sent:
    """Raises what `move` and `uploads.send` do."""
    parts, written = _Parts(span), []
    for what in span.held:
        if isinstance(what, Piece):
            parts.put(what.offset, what.data)
            continue
        name = what.step.tensor.name

        def put(offset: int, data: bytes | memoryview, name: str = name) -> None:
            parts.put(offset, data)
            report(len(data), name)

        with located(tensor=name):
            written.append(move(what, sources, put))
    parts.close()
    return Sent(span.file, parts.tags, written)


class _Parts:
    """Cuts what comes in order into parts, and sends them."""

    def __init__(self, span: Span) -> None:
        self.upload, self._number, self._at, self._stop = span.upload, span.first, span.start, span.stop
        self._buffer = bytearray()
        self.tags: dict[int, str] = {}

    def put(self, offset: int, data: bytes | memoryview) -> None:
        self._buffer += bytes(offset - self._at)
        self._buffer += data
        self._at = offset + len(data)
        while len(self._buffer) >= 2 * self.upload.part:
            self._send(self.upload.part)

    def close(self) -> None:
        self._buffer += bytes(self._stop - self._at)
        self._send(len(self._buffer))

    def _send(self, length: int) -> None:
        self.tags[self._number] = uploads.send(self.upload, self._number, self._buffer[:length])
        self._number += 1
        del self._buffer[:length]


@dataclass(frozen=True, slots=True)
class Sending:
    """`send` in another process: ``sources`` are opened there."""

    sources: tuple[FileRef, ...]

    def __call__(self, span: Span) -> Sent:
        pool = kept_pool(self.sources)
        sent = send(span, pool, lambda count, name: None)
        pool.check_unchanged()
        return sent
