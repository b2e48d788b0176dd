"""A GGUF file, or a set of them that `gguf-split` made, as one model.

Files of a set are called ``stem-00001-of-00003.gguf``. Each says ``split.no`` (from 0), ``split.count`` and
``split.tensors.count`` (of the whole set); only the first has the other metadata.
"""

from __future__ import annotations

from modelglot.containers.shard_index import SHARD
from modelglot.core.errors import InvalidFileError, located, printable
from modelglot.core.format import FileSet
from modelglot.core.limits import Limits
from modelglot.core.metadata import Metadata
from modelglot.core.model import Model
from modelglot.core.notes import Note
from modelglot.core.tensor import Tensor
from modelglot.formats.gguf.header import Header, read_header
from modelglot.formats.gguf.read import Part, read_part

NO, COUNT, TENSORS = "split.no", "split.count", "split.tensors.count"
SPLIT_KEYS = (NO, COUNT, TENSORS)


def read_model(files: FileSet, limits: Limits) -> Model:
    """The model of the file given and, where it is one of a set, of the files beside it."""
    name = files.primary or _main(files)
    header = _header(files, name, limits)
    m = SHARD.match(name)
    count = header.entries[COUNT].value if COUNT in header.entries else None
    if m is None or count is None or int(m["count"]) < 2:
        part = _part(files, name, header)
        notes = list(part.notes)
        if isinstance(count, int) and count > 1:
            notes.append(
                Note(
                    "split-alone",
                    f"this is one file of a set of {count:,}, but its name does not say "
                    f"which; expected `name-00001-of-{count:05}.gguf`",
                    "warning",
                )
            )
        return _model(files, header, part.tensors, Metadata(header.entries), notes)
    return _read_set(files, limits, m["stem"], int(m["count"]), {name: header})


def _main(files: FileSet) -> str:
    """The file that stands for a folder: the only one, or the first of the only set; a vision part beside is left."""
    every = [n for n in files.names() if n.lower().endswith(".gguf") and "/" not in n]
    found = [n for n in every if not n.lower().startswith("mmproj")] or every
    sets: dict[str, str] = {}
    for name in sorted(found):
        m = SHARD.match(name)
        sets.setdefault(f"{m['stem']}/{m['count']}" if m else name, name)
    if len(sets) != 1:
        raise InvalidFileError(
            f"the folder holds {len(sets)} GGUF models",
            path=files.root,
            detail=", ".join(printable(n) for n in list(sets.values())[:6]),
            hint="name one of the files",
        )
    return next(iter(sets.values()))


def _header(files: FileSet, name: str, limits: Limits) -> Header:
    source = files.open(name)
    with located(path=source.path):
        return read_header(source, limits)


def _part(files: FileSet, name: str, header: Header) -> Part:
    source = files.open(name)
    with located(path=source.path):
        _check_split(header, None, None)
        return read_part(header, files.index(name), source.size)


def _check_split(header: Header, number: int | None, count: int | None) -> None:
    """``split.no`` and ``split.count`` must agree with each other and with the name (``number`` is from 0)."""
    no, of = (header.entries[k].value if k in header.entries else None for k in (NO, COUNT))
    for key, value in ((NO, no), (COUNT, of)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise InvalidFileError(f"`{key}` must be a number")
    if no is not None and of is not None and not 0 <= no < max(of, 1):
        raise InvalidFileError(f"`split.no` is {no:,}, which is not below `split.count`, {of:,}")
    if number is not None and (no != number or of != count):
        raise InvalidFileError(
            f"the name says file {number + 1} of {count}, the metadata file {'?' if no is None else no + 1} of {of}",
            hint="the file may have been renamed",
        )


def _read_set(files: FileSet, limits: Limits, stem: str, count: int, headers: dict[str, Header]) -> Model:
    limits.check("entries", count, "files of the set")
    there = files.present(f"{stem}-{number:05}-of-{count:05}.gguf" for number in range(1, count + 1))
    wanted = sorted(there)
    missing = count - len(wanted)
    tensors: dict[str, Tensor] = {}
    notes: list[Note] = []
    for name in wanted:
        if name not in headers:
            headers[name] = _header(files, name, limits)
        m = SHARD.match(name)
        with located(path=files.open(name).path):
            _check_split(headers[name], int(m["number"]) - 1 if m else None, count)
            part = _part(files, name, headers[name])
            again = next((n for n in part.tensors if n in tensors), None)
            if again is not None:
                raise InvalidFileError("another file of the set has a tensor of this name", tensor=again)
        tensors.update(part.tensors)
        limits.check("tensors", len(tensors), "tensors in the set")
        notes.extend(part.notes)
    first = headers[wanted[0]]
    total = first.entries[TENSORS].value if TENSORS in first.entries else None
    if missing:
        notes.append(_missing_note(stem, count, wanted, total, len(tensors)))
    elif total is not None and total != len(tensors):
        raise InvalidFileError(
            f"`{TENSORS}` is {total}, but the {count} files have {len(tensors):,} tensors",
            path=files.open(wanted[0]).path,
        )
    metadata = Metadata({k: e for k, e in first.entries.items() if k not in SPLIT_KEYS})
    return _model(files, first, tensors, metadata, notes)


def _missing_note(stem: str, count: int, wanted: list[str], total: object, found: int) -> Note:
    have = {int(m["number"]) for n in wanted if (m := SHARD.match(n))}
    gone = [n for n in range(1, min(count, 100_000) + 1) if n not in have]
    shown = ", ".join(f"{n:05}" for n in gone[:8]) + (", ..." if len(gone) > 8 else "")
    more = f": {total - found:,} of {total:,} tensors are in them" if isinstance(total, int) and total >= found else ""
    which = " (the first one has the metadata)" if 1 in gone else ""
    return Note(
        "missing-shard",
        f"{len(gone):,} of the {count:,} files of `{printable(stem)}` are missing, number {shown}{which}{more}",
        "warning",
    )


def _model(files: FileSet, header: Header, tensors: dict[str, Tensor], metadata: Metadata, notes: list[Note]) -> Model:
    dialect = f"v{header.version}" + (" big-endian" if header.order == ">" else "")
    unique = tuple(dict.fromkeys(notes))
    return Model("gguf", files.refs(), tensors, dialect, metadata, None, (), unique)
