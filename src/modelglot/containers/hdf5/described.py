"""What an HDF5 file holds, told by a process of its own (`child`): a crash of libhdf5 ends only that one."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from modelglot.core.errors import (
    DamagedFileError,
    LimitError,
    MissingExtraError,
    UnsafeContentError,
    UnsupportedError,
    printable,
)
from modelglot.core.format import Source
from modelglot.core.limits import Limits

MAGIC = b"\x89HDF\r\n\x1a\n"
_CHILD = Path(__file__).with_name("child.py")
_LIMITS = {"entries": "objects in the file", "name": "the path of an object"}


def library() -> Any:
    """h5py, for writing. Raises MissingExtraError."""
    try:
        import h5py
    except ImportError:
        raise _missing() from None
    return h5py


def _missing() -> MissingExtraError:
    return MissingExtraError("this needs `h5py`", hint="pip install 'modelglot[hdf5]'")


class Run(NamedTuple):
    """``length`` bytes of ``source`` at ``offset``: the HDF5 file, which may lie inside another one."""

    source: Source
    offset: int
    length: int

    def pread(self, offset: int, length: int) -> bytes:
        return self.source.pread(self.offset + offset, length)


class Packed(NamedTuple):
    """An HDF5 file that was unpacked."""

    data: bytes

    @property
    def length(self) -> int:
        return len(self.data)

    def pread(self, offset: int, length: int) -> bytes:
        return self.data[offset : offset + length]


class Described(NamedTuple):
    """Text attributes of the root, the names of all of them, and (path, properties) of each dataset."""

    texts: dict[str, str]
    names: list[str]
    datasets: list[tuple[str, dict[str, Any]]]


def described(file: Run | Packed, path: str, limits: Limits, attributes: tuple[str, ...] = ()) -> Described:
    """Raises MissingExtraError, DamagedFileError, UnsupportedError, LimitError, UnsafeContentError (links outside)."""
    if find_spec("h5py") is None:
        raise _missing()
    wanted = {"entries": limits.entries, "name": limits.name, "depth": limits.depth}
    asked = json.dumps({"size": file.length, "attributes": attributes, **wanted})
    answer = _answer(file, path, limits, [sys.executable, "-P", str(_CHILD), asked])
    if "error" in answer:
        said = printable(answer["error"], limit=160)
        hint = "the download may be incomplete" if "truncated" in said else None
        raise DamagedFileError(f"the HDF5 library cannot read it: {said}", path=path, hint=hint)
    return Described(
        answer.get("texts", {}), answer.get("names", []), [_dataset(r, path, limits) for r in answer["rows"]]
    )


def _answer(file: Run | Packed, path: str, limits: Limits, command: list[str]) -> dict[str, Any]:
    """The answer of the process, which gets the bytes that it asks for."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, **pipes) as process:  # type: ignore[call-overload]
        try:
            found = _talk(file, process.stdin, process.stdout, limits)
        except BrokenPipeError:
            found = None
        finally:
            process.kill()
    if found is None:
        raise DamagedFileError("the HDF5 library crashed on it, in a process of its own", path=path)
    return found


def _talk(file: Run | Packed, to: io.BufferedIOBase, of: io.BufferedIOBase, limits: Limits) -> dict[str, Any] | None:
    while (kind := of.read(1)) == b"R":
        offset, length = struct.unpack("<QQ", _exactly(of, 16))
        if offset + length > file.length:
            return None
        to.write(file.pread(offset, length))
        to.flush()
    if kind != b"D":
        return None
    (length,) = struct.unpack("<Q", _exactly(of, 8))
    limits.check("header", length, "the description of an HDF5 file")
    found = json.loads(_exactly(of, length))
    return found if isinstance(found, dict) else None


def _exactly(of: io.BufferedIOBase, length: int) -> bytes:
    raw = of.read(length)
    if len(raw) < length:
        raise BrokenPipeError
    return raw


def _dataset(row: list[Any], path: str, limits: Limits) -> tuple[str, dict[str, Any]]:
    """A row of the answer as a dataset. Raises what the other kinds of row stand for."""
    kind, name, said = row
    if kind == "userblock":
        raise UnsupportedError("an HDF5 file with a user block before it is not read", path=path)
    if kind == "external":
        raise UnsafeContentError(
            f"{printable(name, code=True)} is a link into the file {printable(said, code=True)}, which was not opened",
            path=path,
        )
    if kind == "limit" and name == "depth":
        raise LimitError(f"groups lie more than {limits.depth} deep", path=path, hint="raise `depth`")
    if kind == "limit":
        limits.check(name, said, _LIMITS[name])
    return name, said
