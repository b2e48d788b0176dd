"""One object elsewhere as a `Source`: few requests, and always of the same object."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from threading import Lock

from modelglot.core.errors import CannotOpenError, DamagedFileError
from modelglot.sources.remote.answers import Answers
from modelglot.sources.remote.runs import Runs

FIRST = 66 << 10  # bytes of a request for something small: the end of a zip file is looked for in 65,557
_LARGEST = 128 << 10  # how far reading ahead grows
_DIRECT = 16 << 20  # what is larger is not kept
_KEPT = 24 << 20
_HOLE = 1 << 20  # what is read along rather than left out


class RemoteSource:
    """Size and ETag are those of the first answer; an answer of another version is an error.

    Small reads are served from pieces that are kept; where they follow one another the pieces grow. Tensors come in
    runs that are not kept. ``far``: a request costs more than its bytes, so readers avoid jumping about. Raises
    CannotOpenError for what cannot be reached, PlanError where the object changed, DamagedFileError past its end.
    """

    def __init__(self, url: str, *, far: bool = True) -> None:
        self.far = far
        self._answers = Answers(url)
        self.path = self._answers.path
        self._pieces: OrderedDict[int, bytes] = OrderedDict()
        self._lock = Lock()
        self._ahead = FIRST
        self._keep(0, self._get(0, FIRST))
        self.size = self._answers.size
        self._runs = Runs(lambda start, stop: self._answers.parts(start, min(stop, self.size)))

    @property
    def stamp(self) -> tuple[int, ...]:
        """Size and what the server says of the version, as numbers."""
        return (self.size, int.from_bytes(self._answers.version.encode(), "big"))

    @property
    def etag(self) -> str | None:
        """As the server's first answer had it."""
        return self._answers.etag

    def changed(self) -> bool:
        """Every answer was compared with the first, so there is nothing left to ask."""
        return False

    def pread(self, offset: int, length: int) -> bytes:
        """Kept, up to `_DIRECT` bytes: headers are read in parts, and again."""
        self._inside(offset, length)
        if length > _DIRECT:
            return self._get(offset, length)
        with self._lock:
            return self._kept(offset, length)

    def readinto(self, offset: int, buffer: memoryview) -> None:
        """Not kept."""
        at = 0
        for piece in self.pieces(offset, len(buffer), len(buffer)):
            buffer[at : at + len(piece)] = piece
            at += len(piece)

    def pieces(self, offset: int, length: int, size: int) -> Iterator[bytes | memoryview]:
        """``length`` bytes in pieces of ``size`` but the last, not kept: this is how tensors are moved, several at a
        time. A piece is good until the next is asked for."""
        self._inside(offset, length)
        if not length:
            return
        if length > FIRST or self._runs.follows(offset):
            yield from self._runs.pieces(offset, length, size)
        else:
            for at in range(offset, offset + length, size):
                yield self.pread(at, min(size, offset + length - at))

    def close(self) -> None:
        self._pieces.clear()
        self._runs.close()

    def __enter__(self) -> RemoteSource:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _kept(self, offset: int, length: int) -> bytes:
        """From pieces that are there, and from new ones that begin where what is known before them ends."""
        out = b""
        while len(out) < length:
            at = offset + len(out)
            found = self._at(at)
            if found is None:
                found = self._more(at, length - len(out))
            out += found[: length - len(out)]
        return out

    def _more(self, at: int, length: int) -> bytes:
        """A piece with ``length`` bytes at ``at``; what lies between it and what was read before comes along."""
        before = max((start + len(piece) for start, piece in self._pieces.items() if start <= at), default=0)
        start = before if at - before <= _HOLE else at
        self._ahead = min(2 * self._ahead, _LARGEST) if start == before else FIRST
        stop = min(self.size, at + length + min(self._ahead, max(0, self._gap(at) - length)))
        piece = self._get(start, stop - start)
        self._keep(start, piece)
        return piece[at - start :]

    def _gap(self, at: int) -> int:
        """Bytes from ``at`` to the next piece that is there."""
        return min((start - at for start in self._pieces if start > at), default=self.size - at)

    def _at(self, offset: int) -> bytes | None:
        for start, piece in self._pieces.items():
            if start <= offset < start + len(piece):
                self._pieces.move_to_end(start)
                return piece[offset - start :]
        return None

    def _keep(self, start: int, piece: bytes) -> None:
        self._pieces[start] = piece
        while sum(map(len, self._pieces.values())) > _KEPT and len(self._pieces) > 1:
            self._pieces.popitem(last=False)

    def _get(self, start: int, length: int) -> bytes:
        data = b"".join(self._answers.parts(start, start + length))
        wanted = min(length, self._answers.size - start)
        if len(data) != wanted:
            raise CannotOpenError(f"the answer has {len(data):,} bytes, not {wanted:,}", path=self.path, offset=start)
        return data

    def _inside(self, offset: int, length: int) -> None:
        if offset < 0 or length < 0 or offset + length > self.size:
            raise DamagedFileError(
                f"data ends {offset + length - self.size:,} bytes after the end of the file",
                path=self.path, offset=offset,
                detail=f"needs bytes {offset:,}-{offset + length:,}; the file has {self.size:,}",
                hint="the upload may be incomplete",
            )  # fmt: skip
