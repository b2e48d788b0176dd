"""One version of an object elsewhere: its parts as they arrive, asked for again where an answer breaks off."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

from modelglot.core.errors import CannotOpenError, PlanError
from modelglot.core.urls import public
from modelglot.sources.remote.causes import cause, lacks_credentials
from modelglot.sources.remote.settings import hint
from modelglot.sources.remote.stores import place

_ATTEMPTS = 2  # without a byte more than before; the store itself repeats what it may, with pauses
_LATER = "try again later; `convert --resume` keeps what came"
_NO_PART = ("RangeNotSupported", "UnexpectedRange", "status code: 416")
_SMALLEST = 1  # bytes of a part that is handed on: as they come


class Answers:
    """``size`` and the ETag are those of the first answer; an answer of another version is an error.

    Raises CannotOpenError for what cannot be reached or given in parts, PlanError where the object changed.
    """

    def __init__(self, url: str) -> None:
        self.path = public(url)
        self._store, self._key, _ = place(url)
        self.size = -1
        self._etag: Any = None
        self._modified: Any = None

    @property
    def etag(self) -> str | None:
        return None if self._etag is None else str(self._etag)

    @property
    def version(self) -> str:
        return f"{self._etag} {self._modified}"

    def parts(self, start: int, stop: int) -> Iterator[memoryview]:
        """The bytes from ``start`` to ``stop`` or the end, in parts as they arrive: one request if all goes well."""
        errors = import_module("obstore.exceptions")
        failed, detail = 0, ""
        while start < self._end(stop):
            if failed == _ATTEMPTS:
                raise CannotOpenError("cannot be read", path=self.path, offset=start, detail=detail, hint=_LATER)
            detail = "the answer ended early"
            try:
                for part in self._asked(start, stop):
                    data = memoryview(part)[: stop - start]  # never more than was asked for
                    start, failed = start + len(data), 0
                    yield data
            except (errors.BaseError, OSError) as error:  # the system's own is what is not there, or not allowed
                if self.size < 0 and self._is_empty():
                    return
                self._refuse(error)
                detail = cause(error)
            failed += 1

    def _end(self, stop: int) -> int:
        return stop if self.size < 0 else min(stop, self.size)

    def _asked(self, start: int, stop: int) -> Any:
        options: dict[str, Any] = {"range": (start, stop)}
        if self._etag is not None:
            options["if_match"] = self._etag
        answer = import_module("obstore").get(self._store, self._key, options=options)
        meta = answer.meta
        if self.size < 0:
            self.size, self._etag, self._modified = meta["size"], meta["e_tag"], meta["last_modified"]
        elif (meta["size"], meta["e_tag"]) != (self.size, self._etag):
            raise self._other_version()
        return answer.stream(min_chunk_size=_SMALLEST)

    def _is_empty(self) -> bool:
        """No part of an object of no bytes can be asked for."""
        try:
            meta = import_module("obstore").head(self._store, self._key)
        except (import_module("obstore.exceptions").BaseError, OSError):
            return False
        if meta["size"] == 0:
            self.size, self._etag, self._modified = 0, meta["e_tag"], meta["last_modified"]
        return bool(meta["size"] == 0)

    def _refuse(self, error: Exception) -> None:
        """Raise for what asking again does not change."""
        errors = import_module("obstore.exceptions")
        if isinstance(error, (errors.NotFoundError, FileNotFoundError)):
            if self.size >= 0:
                raise PlanError("the object was removed while it was read", path=self.path) from None
            raise CannotOpenError("there is no such object", path=self.path) from None
        if isinstance(error, (errors.PermissionDeniedError, errors.UnauthenticatedError, PermissionError)):
            raise CannotOpenError(
                "access was refused", path=self.path, detail=cause(error),
                hint="credentials come from the service's own settings",
            ) from None  # fmt: skip
        if isinstance(error, errors.PreconditionError):
            raise self._other_version() from None
        if lacks_credentials(error):
            raise CannotOpenError("there are no credentials for it", path=self.path, hint=hint(self.path)) from None
        said = str(error)
        if self.size >= 0 and "status code: 416" in said:
            raise self._other_version() from None
        if isinstance(error, errors.NotSupportedError) or any(word in said for word in _NO_PART):
            raise CannotOpenError(
                "the server does not give the part of the file that was asked for", path=self.path,
                hint="download the file first",
            ) from None  # fmt: skip

    def _other_version(self) -> PlanError:
        return PlanError("the object changed while it was read", path=self.path, hint="run it again")
