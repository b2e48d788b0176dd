"""Pickles: every global in every role it has, against an exact list; and what only a hostile stream does."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator

from modelglot.containers.pickle.window import Blob, Window
from modelglot.containers.zip_directory import LOCAL
from modelglot.core.errors import printable
from modelglot.core.notes import Finding
from modelglot.features.scan.known import Allowed, judge
from modelglot.features.scan.piece import MOST_DEPTH, Piece
from modelglot.features.scan.report import UNSAFE
from modelglot.features.scan.roles import CALLED, MADE, NAMED, STORAGE, Use
from modelglot.features.scan.trace import Trace, plausible, trace
from modelglot.features.scan.tracer import COMPUTED_NAME, ITEMS_OF_GLOBAL
from modelglot.features.scan.unpack import unpack

_DOES = {CALLED: "is called", MADE: "is made", NAMED: "is named", STORAGE: "is a storage"}
_TRICKS = (
    "a computed value is called", "BUILD on a global", "an instance is made of a computed value", COMPUTED_NAME,
    ITEMS_OF_GLOBAL,
)  # fmt: skip
_ADVICE = "`modelglot convert` keeps the tensors and leaves the code"
_FIRST = frozenset(b"(]})NIKJMXVUTSCFGLPQBci.\x80\x82\x83\x84\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f\x95\x96\x97g")
_MOST_TEXT = 64 << 20


def looks_like(piece: Piece) -> Trace | None:
    """The trace of a part that is a pickle: it begins with one, or does something before it breaks; else None."""
    head = piece.head(4)
    if not head or head[0] not in _FIRST or head == LOCAL:
        return None
    found = trace(piece.window, piece.limits)
    if found.broken or (head[0] == 0x80 and b"\0" < head[1:2] <= b"\x05"):
        return found
    named = all(plausible(use.name) for use in found.uses)
    return found if (found.end or found.acts) and named else None


def check(piece: Piece, found: Trace, allowed: Allowed) -> Iterator[Finding]:
    """Findings of the pickles of a part, and of pickles inside their bytes."""
    named = {use.name for use in found.uses if use.role != NAMED}
    for use in found.uses:
        if use.role == NAMED and use.name in named:
            continue  # the role that says more is reported
        severity = judge(use, allowed, torchscript=piece.inside == "torchscript")
        if severity is not None:
            yield _finding(piece, use, severity)
    for what, offset in found.oddities.items():
        trick = what in _TRICKS
        make = piece.unsafe if trick else piece.unknown
        yield make("pickle-trick" if trick else "pickle-oddity", what, offset, _ADVICE)
    if found.problem is not None and (found.broken or not found.end):
        yield piece.incomplete(f"the pickle cannot be read to its end: {found.problem.what}", found.problem.offset)
    yield from _inside(piece, found, allowed)


def _finding(piece: Piece, use: Use, severity: str) -> Finding:
    shown = ", ".join(printable(repr(a), limit=60) for a in use.arguments if isinstance(a, (str, bytes)))
    does = f"{_DOES[use.role]}{f' with {shown}' if shown else ''}"
    if severity == UNSAFE:
        what = f"{printable(use.name, code=True)} {does}: it runs code or reaches outside"
    else:
        package = use.name.split(".")[0]
        what = f"{printable(use.name, code=True)} {does}: loading needs code from {printable(package, code=True)}"
    return Finding("pickle-global", severity, what, piece.path, piece.member, use.offset, _ADVICE)


def _inside(piece: Piece, found: Trace, allowed: Allowed) -> Iterator[Finding]:
    """Bytes and text that are pickles themselves: `pickle.loads` is found by its name, and so is what it would load."""
    for number, blob in enumerate(found.blobs):
        for window in _readings(piece, blob):
            inner = piece.below(f"bytes {number}", window, "pickle")
            for part in (inner, *(p for p in unpack(inner) if isinstance(p, Piece))):
                again = looks_like(part)
                if again is None or not again.acts:
                    continue
                if piece.depth >= MOST_DEPTH:
                    yield piece.incomplete(f"a pickle in {MOST_DEPTH} others is not read", None)
                    return
                yield from check(part, again, allowed)


def _readings(piece: Piece, blob: bytes | str | Blob) -> Iterator[Window]:
    """What the bytes or the text can be: themselves, base64, hexadecimal, compressed."""
    if isinstance(blob, Blob):
        yield _part(piece.window, blob)
        return
    try:
        raw = blob if isinstance(blob, bytes) else blob.encode("latin-1")
    except UnicodeEncodeError:
        return
    yield Window(data=raw)
    if len(raw) > _MOST_TEXT:
        return
    for decode in (_base64, binascii.unhexlify):
        try:
            yield Window(data=decode(raw))
        except ValueError:
            continue


def _base64(raw: bytes) -> bytes:
    return base64.b64decode(raw.replace(b"-", b"+").replace(b"_", b"/") + b"=" * (-len(raw) % 4), validate=True)


def _part(window: Window, blob: Blob) -> Window:
    if window.source is None:
        return Window(data=window.data[blob.offset : blob.offset + blob.length])
    return Window(window.source, window.offset + blob.offset, blob.length)
