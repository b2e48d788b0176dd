"""Where a model goes and as what: a format, a path, options."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from modelglot.core.errors import UnsupportedError, printable
from modelglot.core.format import Format
from modelglot.core.layout import Options
from modelglot.formats import registry

_SIZE = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B?\s*$", re.IGNORECASE)


Verify = Callable[[str, list[str]], dict[str, str]]  # a folder and names in it -> digests by tensor


class Check(Protocol):
    """What is done with written files before they are published; ``said`` is told to a person afterwards."""

    said: list[str]

    def after(self, verify: Verify) -> Verify:
        """Raises where the files are not what they should be: nothing is published then."""
        ...


@dataclass(frozen=True, slots=True)
class Target:
    """Where and as what: ``path`` is a folder when ``options.name`` is None."""

    format: Format
    path: str
    options: Options
    check: Check | None = None


def to_bytes(size: int | str | None) -> int | None:
    """``5GB`` is 5 * 10**9, ``5GiB`` is 5 * 2**30."""
    if size is None or isinstance(size, int):
        return size
    fits = _SIZE.match(size)
    if not fits or float(fits[1]) <= 0:
        raise UnsupportedError(f"{printable(size, code=True)} is not a size", hint="write `5GB`, `500MB` or `2GiB`")
    step = 1024 if fits[3] else 1000
    return int(float(fits[1]) * step ** " KMGT".index(fits[2].upper() or " "))


def resolve_target(
    path: str, to: str | None, source_format: str, shard: int | None = None, settings: dict[str, str] | None = None
) -> Target:
    """The format from ``to``, or from the suffix, or (for a folder) the source's own; file or folder from the path."""
    named = by_suffix(path)
    folder = path.endswith(("/", os.sep)) or os.path.isdir(path)
    if to is not None:
        format = registry.get(to)
        folder = folder or (named is not format and not path.endswith(format.info.suffixes))
    elif folder:
        format = registry.get(source_format)
    elif named is None:
        read = by_suffix(path, "read")
        what = f"{read.info.title} is read, not written" if read else "the target's name does not tell a format"
        raise UnsupportedError(what, path=path, hint="add `--to FORMAT`, or a suffix such as `.safetensors`")
    else:
        format = named
    name = None if folder else os.path.basename(path)
    return Target(format, path, Options(shard, name, settings or {}))


def target_kind(path: str, to: str | None) -> str | None:
    """The name of the format that ``--to`` or the suffix tells. Raises UnknownFormatError."""
    format = registry.get(to) if to else by_suffix(path)
    return format.info.name if format is not None else None


def by_suffix(path: str, can: str = "write") -> Format | None:
    """The format that the name of a file tells, among those that can be written."""
    for format in registry.all_formats():
        if can in format.info.can and path.lower().endswith(format.info.suffixes):
            return format
    return None
