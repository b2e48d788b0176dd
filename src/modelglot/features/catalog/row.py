"""One model as a row of plain values, and the columns of the table."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

from modelglot.features.catalog.tree import address

# Column -> its DuckDB type, in the order of the file. docs/guides/registry.md says what each holds.
COLUMNS = {
    "path": "VARCHAR", "folder": "VARCHAR", "format": "VARCHAR", "family": "VARCHAR", "parameters": "BIGINT",
    "tensors": "BIGINT", "bytes": "BIGINT", "tensor_bytes": "BIGINT", "dtypes": "VARCHAR[]",
    "quantization": "VARCHAR", "licence": "VARCHAR", "verdict": "VARCHAR", "incomplete": "BOOLEAN",
    "findings": "VARCHAR[]", "digest": "VARCHAR", "contents": "VARCHAR", "digest_error": "VARCHAR",
    "error": "VARCHAR", "error_code": "VARCHAR", "mtime_ns": "BIGINT", "inode": "UBIGINT",
    "etag": "VARCHAR",
    "files": "STRUCT(\"name\" VARCHAR, size BIGINT, mtime_ns BIGINT, inode UBIGINT, etag VARCHAR, \"role\" VARCHAR)[]",
    "seen": "TIMESTAMP", "modelglot": "VARCHAR", "stamp": "VARCHAR", "weights_stamp": "VARCHAR",
}  # fmt: skip
_MOST = (1 << 63) - 1
_TEXT = 500  # characters of a licence or an error


class FileStamp(NamedTuple):
    """A file of a model as it was when it was read; ``name`` is relative to the row's folder."""

    name: str
    size: int
    mtime_ns: int
    inode: int
    role: str = "weights"  # weights | side
    etag: str = ""  # of an object in a store, where inode is 0


@dataclass(slots=True)
class Row:
    """``path`` is what to give to any other command. ``digest`` is that of `modelglot digest`; ``contents`` is the same
    without names of tensors. None where it is not known."""

    path: str
    folder: str
    files: tuple[FileStamp, ...]
    format: str | None = None
    family: str | None = None
    parameters: int | None = None
    tensors: int | None = None
    tensor_bytes: int | None = None
    dtypes: tuple[str, ...] = ()
    quantization: str | None = None
    licence: str | None = None
    verdict: str | None = None
    incomplete: bool | None = None
    findings: tuple[str, ...] = ()
    digest: str | None = None
    contents: str | None = None
    digest_error: str | None = None
    error: str | None = None
    error_code: str | None = None
    seen: str = ""
    modelglot: str = ""

    @property
    def whole(self) -> bool:
        """Whether the folder is the model."""
        return self.path == address(self.folder)

    def document(self) -> dict[str, Any]:
        """Values as JSON and the table take them."""
        weights = [f for f in self.files if f.role == "weights"]
        made = {name: getattr(self, name) for name in self.__slots__}
        made["files"] = [_file(f) for f in self.files]
        for key, value in made.items():
            if isinstance(value, str):
                made[key] = text(value, _TEXT if key in ("licence", "error", "digest_error") else None)
            elif type(value) is int:
                made[key] = min(value, _MOST)
        made["dtypes"], made["findings"] = [text(d) for d in self.dtypes], list(self.findings)
        made["bytes"] = sum(f.size for f in weights)
        made["mtime_ns"] = max((f.mtime_ns for f in weights), default=None)
        made["inode"] = weights[0].inode or None if weights else None
        made["etag"] = text(weights[0].etag) or None if weights else None
        made["stamp"], made["weights_stamp"] = stamp(self.files), stamp(weights)
        return {column: made[column] for column in COLUMNS}


def _file(file: FileStamp) -> dict[str, Any]:
    return {**file._asdict(), "name": text(file.name), "inode": file.inode or None, "etag": text(file.etag) or None}


@cache
def made_by() -> str:
    """This version, which rows are marked with: another one may read and judge files otherwise."""
    try:
        return version("modelglot")
    except PackageNotFoundError:  # run from its sources
        return "unknown"


def stamp(files: Iterable[FileStamp]) -> str:
    """Short text that changes when a name, size, time, inode or ETag does."""
    hasher = blake2b(digest_size=16)
    for name, size, mtime_ns, inode, _, etag in sorted(files):
        hasher.update(os.fsencode(name) + f"\0{size}\0{mtime_ns}\0{inode}{etag}\n".encode())
    return hasher.hexdigest()


def is_text(value: str) -> bool:
    """Whether UTF-8 has it: names of files may be any bytes."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def text(value: str, most: int | None = None) -> str:
    """As UTF-8 can hold it: bytes of a name that are no text appear as their escapes."""
    if not value.isascii():
        value = value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return value if most is None or len(value) <= most else value[:most] + "..."
