"""Which bundle a path means: a prefix has ``.index``, ``.data-NNNNN-of-NNNNN`` and perhaps ``.meta`` beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from modelglot.containers import sstable
from modelglot.core.errors import InvalidFileError, located, printable
from modelglot.core.format import FileSet, Probe
from modelglot.core.limits import Limits
from modelglot.core.notes import Note

INDEX, META, STATE = ".index", ".meta", "checkpoint"
DATA = re.compile(r"^(?P<prefix>.*)\.data-(?P<number>\d{5,})-of-(?P<count>\d{5,})$", re.S)
_NEWEST = re.compile(rb'^\s*model_checkpoint_path\s*:\s*"((?:[^"\\\n]|\\.)*)"', re.M)
_ESCAPES = {ord("n"): 10, ord("t"): 9, ord("r"): 13}


def table_kind(probe: Probe) -> str | None:
    """``bundle`` for the index of a checkpoint, ``slices`` for one of the first version, which is a table itself."""
    if not probe.tail.endswith(sstable.MAGIC):
        return None
    return "bundle" if begins_as_bundle(probe.head) else "slices"


def begins_as_bundle(head: bytes) -> bool:
    """A bundle's first entry has the key "" and a header that begins with the number of data files."""
    return head[:2] == b"\0\0" and head[3:4] == b"\x08"


class Prefix(NamedTuple):
    """``prefix`` without its suffixes; it can be empty. ``notes`` say where the state file was not followed."""

    prefix: str
    notes: tuple[Note, ...] = ()


def data_name(prefix: str, number: int, count: int) -> str:
    return f"{prefix}.data-{number:05}-of-{count:05}"


def prefixes(names: Sequence[str]) -> list[str]:
    """Of the bundles in a folder: an index and data of one prefix. Sub-folders are not looked at."""
    data = {m["prefix"] for n in names if "/" not in n and (m := DATA.match(n))}
    return [n.removesuffix(INDEX) for n in names if n.endswith(INDEX) and n.removesuffix(INDEX) in data]


def find(files: FileSet, limits: Limits) -> Prefix:
    """The bundle of the file that was given, or of the folder. Raises InvalidFileError where several could be meant."""
    name = files.primary
    if name is None:
        return _of_folder(files, limits)
    if (m := DATA.match(name)) is not None:
        return Prefix(m["prefix"])
    if name.endswith(META):
        return Prefix(name.removesuffix(META))
    if name == STATE or _is_state(files, name):
        return _from_state(files, name, limits)
    return Prefix(name.removesuffix(INDEX))


def _is_state(files: FileSet, name: str) -> bool:
    source = files.open(name)
    return source.pread(0, min(22, source.size)) == b"model_checkpoint_path:"


def _of_folder(files: FileSet, limits: Limits) -> Prefix:
    names = files.names()
    if STATE in names:
        return _from_state(files, STATE, limits)
    return Prefix(_only(files, prefixes(names)))


def _from_state(files: FileSet, name: str, limits: Limits) -> Prefix:
    """What the state file names as the newest. A path of another machine is looked for by its last part, here."""
    source = files.open(name)
    files.index(name, "side")
    limits.check("index", source.size, "the state file of the checkpoint")
    said = _NEWEST.search(source.pread(0, source.size))
    if said is None:
        raise InvalidFileError("the state file names no checkpoint", path=source.path)
    path = _unescaped(said[1]).decode("utf-8", "surrogateescape")
    there, last = prefixes(files.names()), re.split(r"[\\/]", path)[-1]
    if last in there:
        return Prefix(last)
    if last and last in files.names():
        raise InvalidFileError(
            f"the state file names {printable(last, code=True)}, which is a checkpoint of version 1",
            path=source.path,
            hint="name that file",
        )
    with located(path=source.path):
        only = _only(files, there, f"the state file names {printable(path, code=True)}, which is not here")
    text = f"the state file names {printable(path, code=True)}, which is not here; {_shown(only)} is read"
    return Prefix(only, (Note("dead-checkpoint-path", text, "warning"),))


def _only(files: FileSet, there: list[str], why: str = "") -> str:
    if len(there) != 1:
        raise InvalidFileError(
            why or f"the folder holds {len(there)} TensorFlow checkpoints and no state file",
            path=None if why else files.root,
            detail=", ".join(_shown(p) for p in there[:6]) or None,
            hint="name one of the .index files",
        )
    return there[0]


def _shown(prefix: str) -> str:
    return printable(prefix + INDEX, code=True)


def _unescaped(raw: bytes) -> bytes:
    """C escapes as protobuf's text form has them."""

    def one(m: re.Match[bytes]) -> bytes:
        if m["octal"]:
            return bytes((int(m["octal"], 8) & 255,))
        return bytes((_ESCAPES.get(m[0][1], m[0][1]),))

    return re.sub(rb"\\(?:(?P<octal>[0-7]{1,3})|.)", one, raw)
