"""Pickles: every global in every role it has, against an exact list; and what only a hostile stream does."""

from __future__ import annotations

from collections.abc import Iterator

from modelglot.containers.pickle.window import Blob, Window
from modelglot.core.errors import printable
from modelglot.core.notes import Finding
from modelglot.features.scan.known import Allowed, judge
from modelglot.features.scan.piece import MOST_DEPTH, Piece
from modelglot.features.scan.report import UNSAFE
from modelglot.features.scan.trace import CALLED, MADE, NAMED, STORAGE, Trace, Use, trace

_DOES = {CALLED: "is called", MADE: "is made", NAMED: "is named", STORAGE: "is a storage"}
_TRICKS = ("a computed value is called", "BUILD on a global", "an instance is made of a computed value")
_ADVICE = "`modelglot convert` keeps the tensors and leaves the code"


def looks_like(piece: Piece) -> Trace | None:
    """The trace of a part that is a pickle: it begins with one, or does something before it breaks; else None."""
    head = piece.head(2)
    if not head or (head[0] != 0x80 and head[:1] not in _FIRST):
        return None
    found = trace(piece.window, piece.limits)
    acts = any(use.role in (CALLED, MADE) for use in found.uses)
    return found if found.end or acts or (head[0] == 0x80 and head[1:2] <= b"\x05") else None


_FIRST = frozenset(bytes([b]) for b in b"(]})NIKJMXVUTSCFGLPQBci.\x85\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f\x94\x95\x96\x97g")


def check(piece: Piece, found: Trace, allowed: Allowed) -> Iterator[Finding]:
    """Findings of the pickles at the start of a part, and of pickles inside their bytes."""
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
    if found.problem is not None and not found.end:
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
    """Bytes that a call gets, read as pickles: `pickle.loads` is found by its name, and so is what it would load."""
    if piece.depth >= MOST_DEPTH:
        return
    for number, blob in enumerate(found.blobs):
        window = Window(data=blob) if isinstance(blob, bytes) else _part(piece.window, blob)
        inner = piece.below(f"bytes {number}", window, "pickle")
        again = looks_like(inner)
        if again is not None and (again.end or any(use.role == CALLED for use in again.uses)):
            yield from check(inner, again, allowed)


def _part(window: Window, blob: Blob) -> Window:
    if window.source is None:
        return Window(data=window.data[blob.offset : blob.offset + blob.length])
    return Window(window.source, window.offset + blob.offset, blob.length)
