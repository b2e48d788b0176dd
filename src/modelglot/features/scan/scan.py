"""One file: its parts, the rules that look at them, and what its format says of constructs that run something."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from modelglot.containers.pickle.window import Window
from modelglot.core.errors import InvalidFileError, ModelFileError, UnsafeContentError
from modelglot.core.format import FileSet, Format, Source
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.core.notes import Finding
from modelglot.features.scan.kinds import kind_of
from modelglot.features.scan.known import Allowed
from modelglot.features.scan.look import Look, Whole
from modelglot.features.scan.piece import Piece
from modelglot.features.scan.report import INCOMPLETE, INVALID, REFUSED, UNKNOWN, FileScan, sorted_findings
from modelglot.features.scan.rules import pickles
from modelglot.features.scan.rules.table import RULES
from modelglot.features.scan.trace import Trace
from modelglot.features.scan.unpack import unpack

_PARTS = 20_000
_NO_MODEL = "not-a-model"
_PICKLES = frozenset(["pickle", "npy", "npz"])  # of which more is read here than their readers can
_TRACED = _PICKLES | {"torch-zip", "torch-legacy"}  # whose hazards are their pickles, which were all looked at
_MAY_BE_PICKLES = _TRACED | {"torchscript", "dcp", "deepspeed", "torch-ranks", "megatron"}
_ANSWERED = ("keras", "tf-")  # what these formats know is asked by rules here, in every part


def scan_file(
    source: Source, limits: Limits, allowed: Allowed, format: Format | None, files: FileSet | None
) -> FileScan:
    """``format`` is what the file was recognised as, ``files`` its surroundings.

    Never raises for what is in the file.
    """
    known = format if format is not None and format.info.name != _NO_MODEL else None
    whole = Look(Piece(source.path, source.path.rsplit("/", 1)[-1], Window(source, 0, source.size), limits))
    found: list[Finding] = []
    seen = pickles_seen = 0
    rest = False  # something follows what begins the file as a pickle
    for look in _parts(whole, found.append):
        seen += 1
        if seen > _PARTS:
            found.append(whole.piece.incomplete(f"more than {_PARTS:,} parts"))
            break
        trace = _pickle(look, known if look is whole else None)
        if trace is not None:
            pickles_seen += 1
            rest |= look is whole and trace.end < whole.piece.window.length
            found += pickles.check(look.piece, trace, allowed)
        found += _by_rules(look)
        if known is None and look is not whole:
            found += _guarded(look.piece, _kind(look))
    kind, finding = _named(whole, known, files, seen)
    if finding is not None and (finding.rule != "not-recognised" or rest or not pickles_seen):
        found.append(finding)
    opened = pickles_seen and known is not None and known.info.name in _PICKLES
    read = not opened or any(f.rule == INCOMPLETE for f in found)
    found += _as_a_whole(whole, known, files, limits, read=bool(read))
    return FileScan(source.path, kind, sorted_findings(found))


def _parts(look: Look, tell: Callable[[Finding], None]) -> Iterator[Look]:
    """A part, and all parts inside it."""
    stack = [look]
    while stack:
        part = stack.pop()
        yield part
        for inner in unpack(part.piece):
            if isinstance(inner, Finding):
                tell(inner)
            else:
                stack.append(Look(inner))


def _pickle(look: Look, format: Format | None) -> Trace | None:
    """``format`` is what a whole file was recognised as. It may begin as a pickle by chance, such as with the length of
    a safetensors header: then it names nothing and breaks off."""
    trace = pickles.looks_like(look.piece)
    if trace is None or format is None or format.info.name in _MAY_BE_PICKLES:
        return trace
    return trace if trace.end or trace.uses else None


def _by_rules(look: Look) -> Iterator[Finding]:
    for rule in RULES:
        if rule.part is not None:
            yield from _guarded(look.piece, rule.part(look))


def _kind(look: Look) -> Iterator[Finding]:
    """Of a part of an archive that is no model: programs and code are named, numbers and texts are not."""
    _, finding = kind_of(look)
    if finding is not None and finding.rule == "source-code":
        yield finding


def _named(look: Look, format: Format | None, files: FileSet | None, parts: int) -> tuple[str, Finding | None]:
    if format is not None:
        return format.info.title, None
    try:
        return kind_of(look, files, parts)
    except ModelFileError as error:
        return "not recognised", _could_not(look.piece, error)


def _as_a_whole(
    look: Look, format: Format | None, files: FileSet | None, limits: Limits, *, read: bool
) -> Iterator[Finding]:
    """What the format's reader knows to look for, and rules that need what it read. ``read``: say if it cannot."""
    model, problem = None, None
    if format is not None and files is not None:
        model, problem = _read(format, files, limits)
        if problem is not None and read:
            yield _could_not(look.piece, problem, refused=format.info.name not in _MAY_BE_PICKLES)
        cut = next((n for n in model.notes if n.code == "truncated"), None) if model is not None else None
        if cut is not None:
            yield look.piece.incomplete(cut.text)
        yield from _guarded(look.piece, _hazards(format, files, limits))
    whole = Whole(look, format, files, model, problem)
    for rule in RULES:
        if rule.whole is not None:
            yield from _guarded(look.piece, rule.whole(whole))


def _read(format: Format, files: FileSet, limits: Limits) -> tuple[Model | None, ModelFileError | None]:
    try:
        return format.read(files, limits), None
    except ModelFileError as error:
        return None, error


def _hazards(format: Format, files: FileSet, limits: Limits) -> Iterator[Finding]:
    if format.info.name not in _TRACED and not format.info.name.startswith(_ANSWERED):
        yield from (f for f in format.hazards(files, limits) if f.rule[:7] != "pickle-" and f.rule != INCOMPLETE)


def _guarded(piece: Piece, findings: Iterable[Finding]) -> Iterator[Finding]:
    """What a rule found; where it could not go on, that too."""
    try:
        yield from findings
    except ModelFileError as error:
        yield _could_not(piece, error)
    except RecursionError:
        yield piece.incomplete("nested too deeply to be read")
    except Exception as error:  # a defect here: one file never ends a scan, and is never called safe for it
        yield piece.incomplete(f"a rule failed on it: {type(error).__name__}, please report it")


def _could_not(piece: Piece, error: ModelFileError, *, refused: bool = False) -> Finding:
    """``refused``: a reader's refusal counts against the file. Those of pickles have rules that say more."""
    if refused and isinstance(error, UnsafeContentError) and "is a link" not in error.what:
        return piece.unsafe(REFUSED, error.what, error.offset, error.hint)
    rule = INVALID if isinstance(error, InvalidFileError) else INCOMPLETE
    return Finding(rule, UNKNOWN, f"does not read: {error.what}", piece.path, piece.member, error.offset, error.hint)
