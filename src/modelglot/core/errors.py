"""The error tree: everything that can be wrong with a file, a request or a target.

::

    ModelFileError                     never raised itself
    ├─ UnknownFormatError              no reader claims the content
    │  └─ AmbiguousFormatError         two readers claim it equally
    ├─ DamagedFileError                truncated, checksum, extent past the end
    ├─ InvalidFileError                right size, breaks the specification
    ├─ UnsafeContentError              would need to run or fetch something
    ├─ LimitError                      a limit was reached, and how to raise it
    ├─ UnsupportedError                understood, not possible
    │  └─ MissingExtraError            an optional dependency is not installed
    ├─ LossError                       the target cannot hold something
    ├─ TargetExistsError               would overwrite
    ├─ CannotOpenError                 no such file, no permission, a read error
    ├─ CannotWriteError                disk full, no permission, a read-only target
    └─ PlanError                       plan and files no longer agree
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from modelglot.core.urls import public


class ModelFileError(Exception):
    """What is wrong, where, and what to do.

    ``what`` is one lower-case sentence with values in backticks; ``path``, ``offset`` (bytes from the start of
    the file), ``tensor`` and ``member`` say where; ``detail`` is a second line of figures; ``hint`` is an action.
    """

    code = "error"

    def __init__(
        self,
        what: str,
        *,
        path: str | None = None,
        offset: int | None = None,
        tensor: str | None = None,
        member: str | None = None,
        detail: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.path = path
        self.offset = offset
        self.tensor = tensor
        self.member = member
        self.detail = detail
        self.hint = hint

    def place(self) -> str:
        """``\\`a.ckpt\\`, member \\`data.pkl\\`, tensor \\`w\\`, byte 1,024`` with what is known."""
        parts = [printable(public(self.path), code=True)] if self.path else []
        if self.member:
            parts.append(f"member {printable(self.member, code=True)}")
        if self.tensor is not None:
            parts.append(f"tensor {printable(self.tensor, code=True)}")
        if self.offset is not None:
            parts.append(f"byte {self.offset:,}")
        return ", ".join(parts)

    def __str__(self) -> str:
        place = self.place()
        lines = [f"{place}: {self.what}" if place else self.what]
        if self.detail:
            lines.append(f"  {self.detail}")
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)

    def document(self) -> dict[str, Any]:
        """The error as plain data for ``--json``."""
        keys = ("what", "path", "member", "tensor", "offset", "detail", "hint")
        found = {k: getattr(self, k) for k in keys if getattr(self, k) is not None}
        return {"code": self.code, **found} | ({"path": public(self.path)} if self.path is not None else {})


class UnknownFormatError(ModelFileError):
    code = "unknown-format"


class AmbiguousFormatError(UnknownFormatError):
    code = "ambiguous-format"


class DamagedFileError(ModelFileError):
    code = "damaged"


class InvalidFileError(ModelFileError):
    code = "invalid"


class UnsafeContentError(ModelFileError):
    code = "unsafe"


class LimitError(ModelFileError):
    code = "limit"


class UnsupportedError(ModelFileError):
    code = "unsupported"


class MissingExtraError(UnsupportedError):
    code = "missing-extra"


class LossError(ModelFileError):
    code = "loss"


class TargetExistsError(ModelFileError):
    code = "target-exists"


class CannotOpenError(ModelFileError):
    code = "cannot-open"


class CannotWriteError(ModelFileError):
    code = "cannot-write"


class PlanError(ModelFileError):
    code = "plan"


@contextmanager
def located(
    *, path: str | None = None, tensor: str | None = None, member: str | None = None, base: int = 0
) -> Iterator[None]:
    """Add what the caller knows to an error in flight; ``base`` shifts an offset that was relative."""
    try:
        yield
    except ModelFileError as error:
        error.path = error.path or path
        error.tensor = tensor if error.tensor is None else error.tensor
        error.member = error.member or member
        if base and error.offset is not None:
            error.offset += base
        raise


def printable(text: str, *, code: bool = False, limit: int = 200) -> str:
    """Text from a file made safe to print: control characters escaped, long values cut; ``code`` adds backticks."""
    shown = text if len(text) <= limit else f"{text[: limit - 20]}...({len(text):,} characters)"
    if not shown.isprintable():
        shown = "".join(c if c.isprintable() else _escape(c) for c in shown)
    return f"`{shown}`" if code else shown


def _escape(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}" if number < 65536 else f"\\U{number:08x}"
