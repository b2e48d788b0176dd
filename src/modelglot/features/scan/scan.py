"""One file: its parts, the rules that look at them, and what its format says of constructs that run something."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from modelglot.containers.pickle.window import Window
from modelglot.core.errors import ModelFileError
from modelglot.core.format import FileSet, Format, Source
from modelglot.core.limits import Limits
from modelglot.core.notes import Finding
from modelglot.features.scan.known import Allowed
from modelglot.features.scan.piece import Piece
from modelglot.features.scan.report import INCOMPLETE, UNKNOWN, FileScan, sorted_findings
from modelglot.features.scan.rules import pickles
from modelglot.features.scan.unpack import unpack

_PARTS = 20_000
_PICKLES = frozenset(["pickle", "npy", "npz"])  # of which more is read here than their readers can
_TRACED = _PICKLES | {"torch-zip", "torch-legacy"}  # whose hazards are their pickles, which were all looked at


def scan_file(
    source: Source, limits: Limits, allowed: Allowed, format: Format | None, files: FileSet | None
) -> FileScan:
    """``format`` is what the file was recognised as, ``files`` its surroundings.

    Never raises for what is in the file.
    """
    whole = Piece(source.path, source.path.rsplit("/", 1)[-1], Window(source, 0, source.size), limits)
    found: list[Finding] = []
    seen = pickles_seen = 0
    for piece in _parts(whole, found.append):
        seen += 1
        if seen > _PARTS:
            found.append(whole.incomplete(f"more than {_PARTS:,} parts"))
            break
        trace = pickles.looks_like(piece)
        if trace is not None:
            pickles_seen += 1
            found += pickles.check(piece, trace, allowed)
    kind = format.info.title if format is not None else "not recognised"
    if format is not None and files is not None:
        opened = pickles_seen if format.info.name in _PICKLES else seen > 1 and format.info.name == "not-a-model"
        opened = opened and not any(f.rule == INCOMPLETE for f in found)
        found += _by_format(format, files, limits, whole, read=not opened)
    elif format is None and seen == 1 and not found and not pickles_seen:
        found.append(whole.unknown("not-recognised", "no format is recognised: nothing can be said of it"))
    return FileScan(source.path, kind, sorted_findings(found))


def _parts(piece: Piece, tell: Callable[[Finding], None]) -> Iterator[Piece]:
    """A part, and all parts inside it."""
    stack = [piece]
    while stack:
        part = stack.pop()
        yield part
        for inner in unpack(part):
            if isinstance(inner, Finding):
                tell(inner)
            else:
                stack.append(inner)


def _by_format(format: Format, files: FileSet, limits: Limits, whole: Piece, *, read: bool) -> Iterator[Finding]:
    """What the format's reader knows to look for, pickles aside: those were looked at in every part. ``read``: say so
    where the reader cannot read it."""
    try:
        for finding in () if format.info.name in _TRACED else format.hazards(files, limits):
            if not finding.rule.startswith("pickle-") and finding.rule != INCOMPLETE:
                yield finding
        if read:
            format.read(files, limits)
    except ModelFileError as error:
        yield Finding(INCOMPLETE, UNKNOWN, f"the file does not read: {error.what}", whole.path, None, error.offset)
