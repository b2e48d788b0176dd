"""One object elsewhere as a `Source`: few requests, and always of the same object."""

from __future__ import annotations

from collections import OrderedDict
from importlib import import_module
from threading import Lock
from typing import Any

from modelglot.core.errors import CannotOpenError, DamagedFileError, PlanError
from modelglot.core.urls import public
from modelglot.sources.remote.stores import place

FIRST = 66 << 10  # bytes of a request for something small: the end of a zip file is looked for in 65,557
_LARGEST = 128 << 10  # how far reading ahead grows
_DIRECT = 16 << 20  # what is larger is not kept
_KEPT = 24 << 20
_HOLE = 1 << 20  # what is read along rather than left out
_ATTEMPTS = 2  # where an answer breaks off; the store itself repeats what it may


class RemoteSource:
    """Size and ETag are those of the first answer; an answer of another version is an error.

    Small reads are served from pieces that are kept; where they follow one another the pieces grow. ``far``: a request
    costs more than its bytes, so readers avoid jumping about. Raises CannotOpenError for what cannot be reached,
    PlanError where the object changed, DamagedFileError past its end.
    """

    def __init__(self, url: str, *, far: bool = True) -> None:
        self.path, self.far = public(url), far
        self._store, self._key, _ = place(url)
        self._pieces: OrderedDict[int, bytes] = OrderedDict()
        self._lock = Lock()
        self._ahead = FIRST
        self.size, self._etag, self._modified = -1, None, None
        self._keep(0, bytes(self._get(0, FIRST)))

    @property
    def stamp(self) -> tuple[int, ...]:
        """Size and what the server says of the version, as numbers."""
        version = f"{self._etag} {self._modified}".encode()
        return (self.size, int.from_bytes(version, "big"))

    @property
    def etag(self) -> str | None:
        """As the server's first answer had it."""
        return self._etag

    def changed(self) -> bool:
        """Every answer was compared with the first, so there is nothing left to ask."""
        return False

    def pread(self, offset: int, length: int) -> bytes:
        """Kept, up to `_DIRECT` bytes: headers are read in parts, and again."""
        self._inside(offset, length)
        if length > _DIRECT:
            return bytes(self._get(offset, length))
        with self._lock:
            return self._kept(offset, length)

    def readinto(self, offset: int, buffer: memoryview) -> None:
        """Not kept: this is how tensors are moved, several at a time."""
        self._inside(offset, len(buffer))
        if len(buffer) > FIRST:
            buffer[:] = self._get(offset, len(buffer))
        else:
            buffer[:] = self.pread(offset, len(buffer))

    def close(self) -> None:
        self._pieces.clear()

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
        piece = bytes(self._get(start, stop - start))
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

    def _get(self, start: int, length: int) -> memoryview:
        """One request, repeated where its answer breaks off."""
        errors = import_module("obstore.exceptions")
        for attempt in range(_ATTEMPTS):
            try:
                return self._once(start, length)
            except (errors.NotFoundError, FileNotFoundError):
                raise CannotOpenError("there is no such object", path=self.path) from None
            except (errors.PermissionDeniedError, errors.UnauthenticatedError, PermissionError):
                raise CannotOpenError(
                    "access was refused", path=self.path, hint="credentials come from the service's own settings"
                ) from None
            except errors.PreconditionError:
                raise self._other_version() from None
            except errors.BaseError as error:
                if self.size < 0 and self._is_empty():
                    return memoryview(b"")
                if attempt == _ATTEMPTS - 1 or _no_part(error):
                    raise self._unreadable(error, start) from None
        raise CannotOpenError("no answer", path=self.path, offset=start)

    def _once(self, start: int, length: int) -> memoryview:
        options: dict[str, Any] = {"range": (start, start + length)}
        if self._etag is not None:
            options["if_match"] = self._etag
        answer = import_module("obstore").get(self._store, self._key, options=options)
        meta = answer.meta
        if self.size < 0:
            self.size, self._etag, self._modified = meta["size"], meta["e_tag"], meta["last_modified"]
        elif (meta["size"], meta["e_tag"]) != (self.size, self._etag):
            raise self._other_version()
        data = memoryview(answer.bytes())
        wanted = min(length, self.size - start)
        if len(data) != wanted:
            raise CannotOpenError(f"the answer has {len(data):,} bytes, not {wanted:,}", path=self.path, offset=start)
        return data

    def _is_empty(self) -> bool:
        """No part of an object of no bytes can be asked for."""
        try:
            meta = import_module("obstore").head(self._store, self._key)
        except import_module("obstore.exceptions").BaseError:
            return False
        if meta["size"] == 0:
            self.size, self._etag, self._modified = 0, meta["e_tag"], meta["last_modified"]
        return bool(meta["size"] == 0)

    def _other_version(self) -> PlanError:
        return PlanError("the object changed while it was read", path=self.path, hint="run it again")

    def _unreadable(self, error: Exception, start: int) -> CannotOpenError:
        if _no_part(error):
            return CannotOpenError(
                "the server does not give the part of the file that was asked for", path=self.path,
                hint="download the file first",
            )  # fmt: skip
        return CannotOpenError("cannot be read", path=self.path, offset=start, detail=_cause(str(error)))

    def _inside(self, offset: int, length: int) -> None:
        if offset < 0 or length < 0 or offset + length > self.size:
            raise DamagedFileError(
                f"data ends {offset + length - self.size:,} bytes after the end of the file",
                path=self.path, offset=offset,
                detail=f"needs bytes {offset:,}-{offset + length:,}; the file has {self.size:,}",
                hint="the upload may be incomplete",
            )  # fmt: skip


def _no_part(error: Exception) -> bool:
    return "range" in str(error).lower()


def _cause(text: str) -> str:
    """The innermost words of the library's error, without addresses, which may be signed."""
    words = [
        line.strip() for line in text.splitlines() if line.strip() and "://" not in line and "url" not in line.lower()
    ]
    return words[0][:200] if words else "the request failed"
