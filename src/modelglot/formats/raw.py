"""Bytes without a header, described by a manifest beside them (TOML or JSON), or on the command line.

The manifest is our own: ``docs/formats/raw.md`` has all of it.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from math import prod
from typing import Any

from modelglot.containers import strict_json
from modelglot.core.dtype import DTYPES, DType
from modelglot.core.encoding import BLOCKS, Encoding, nbytes, plain_encoding
from modelglot.core.errors import DamagedFileError, InvalidFileError, UnsupportedError, located, printable
from modelglot.core.format import FileSet, FormatInfo, Match, Probe
from modelglot.core.layout import Layout, Options, OutFile, Piece, Slot, align
from modelglot.core.limits import Limits
from modelglot.core.metadata import Entry, Metadata, is_array
from modelglot.core.model import Model
from modelglot.core.notes import Finding, Loss
from modelglot.core.tensor import Extent, Stored, Tensor

SCHEMA = "modelglot.raw/1"
MANIFESTS = (".manifest.json", ".manifest.toml")
_TOP = {"format", "file", "byteorder", "tensors", "metadata"}
_EACH = {"name", "dtype", "shape", "offset", "file", "byteorder"}
_ALIGNMENT = "raw:alignment"
_TYPES = frozenset([*(name for name in DTYPES if name != "opaque"), *BLOCKS])


class Raw:
    """``described`` stands for a manifest: dtype, shape (``2x3``, one size may be ``-1``), offset, byteorder."""

    info = FormatInfo(
        name="raw",
        title="Raw bytes",
        suffixes=(".raw", ".bin"),
        spec="docs/formats/raw.md",
        can=frozenset({"read", "write", "metadata"}),
        dtypes=_TYPES,
        blurb="numbers without a header; a manifest (TOML, JSON) or `--raw-dtype` and `--raw-shape` say what they are",
    )

    def __init__(self, described: Mapping[str, str] | None = None) -> None:
        self.described = described

    def configured(self, settings: Mapping[str, str]) -> Raw:
        """The same format for files that ``settings`` describe. Raises UnsupportedError for unknown ones."""
        unknown = set(settings) - {"dtype", "shape", "offset", "byteorder"}
        if unknown or "dtype" not in settings:
            raise UnsupportedError(
                "raw bytes need a dtype" if not unknown else f"no setting {printable(min(unknown), code=True)} for raw",
                hint="`--raw-dtype f32 --raw-shape 1024,768`",
            )
        return Raw(settings)

    def sniff(self, probe: Probe) -> Match | None:
        if SCHEMA.encode() in probe.head[:1024] and probe.head.lstrip()[:1] not in (b"", b"\x80", b"P"):
            return Match(100, "a manifest of raw bytes")
        beside = next((n for n in (probe.name + m for m in MANIFESTS) if n in probe.names), None)
        return Match(99, f"{beside} lies beside it") if beside else None

    def read(self, files: FileSet, limits: Limits) -> Model:
        name = files.primary
        if name is None:
            raise InvalidFileError("a folder is not one file", path=files.root, hint="name the manifest")
        if self.described is not None:
            manifest, where = _from_settings(self.described, files.open(name).size, name), name
        else:
            where = next((n for n in (name + m for m in MANIFESTS) if n in files.names()), name)
            if where == name and not name.endswith((".json", ".toml")):
                raise UnsupportedError(
                    "raw bytes without a manifest", path=files.open(name).path,
                    hint=f"`--raw-dtype f32 --raw-shape 1024,768`, or describe them in {printable(name)}.manifest.toml",
                )  # fmt: skip
            manifest = _manifest(files, where, limits)
        with located(path=files.open(where).path):
            return _model(files, manifest, limits, where)

    def losses(self, model: Model) -> Iterable[Loss]:
        return ()

    def layout(self, model: Model, options: Options) -> Layout:
        """The bytes one tensor behind the other at multiples of 64 (``raw:alignment``), then the manifest."""
        step = _number(options.settings.get(_ALIGNMENT, "64"), _ALIGNMENT)
        name, at = options.name or "model.raw", 0
        slots, rows = [], []
        for tensor in model.tensors.values():
            at = align(at, max(step, 1))
            slots.append(Slot(tensor.name, at, tensor.nbytes))
            rows.append({"name": tensor.name, "dtype": tensor.type_name, "shape": list(tensor.shape), "offset": at})
            at += tensor.nbytes
        entries = {key: _plain(entry) for key, entry in model.metadata.entries()}
        manifest = {"format": SCHEMA, "file": name, "byteorder": "little", "tensors": rows}
        text = json.dumps(manifest | ({"metadata": entries} if entries else {}), indent=1, ensure_ascii=True)
        raw = text.encode()
        return Layout((OutFile(name, at, (), tuple(slots)), OutFile(name + MANIFESTS[0], len(raw), (Piece(0, raw),))))

    def hazards(self, files: FileSet, limits: Limits) -> Iterable[Finding]:
        return ()


def _manifest(files: FileSet, name: str, limits: Limits) -> dict[str, Any]:
    source = files.open(name)
    files.index(name)
    limits.check("index", source.size, "the manifest")
    with located(path=source.path):
        text = source.pread(0, source.size)
        if text.lstrip().startswith(b"{"):
            found = strict_json.loads(text, what="the manifest")
        else:
            try:
                found = tomllib.loads(text.decode())
            except (ValueError, RecursionError) as error:
                raise InvalidFileError(f"the manifest is not valid TOML: {error}") from None
        if not isinstance(found, dict) or found.get("format") != SCHEMA:
            raise InvalidFileError(f'the manifest needs `format = "{SCHEMA}"`')
        _only(found, _TOP, "the manifest")
    return found


def _from_settings(settings: Mapping[str, str], size: int, name: str) -> dict[str, Any]:
    """The manifest that the command line stands for."""
    offset = _number(settings.get("offset", "0"), "the offset")
    dtype, encoding = _type(settings["dtype"])
    count = (size - offset) * 8 // dtype.bits
    if not hasattr(encoding, "name") or encoding.name not in ("plain", "packed"):
        block = BLOCKS[encoding.name]
        count = (size - offset) // block.bytes * block.elements
    shape = [int(n) if n.lstrip("-").isdecimal() else -2 for n in settings.get("shape", "-1").split("x")]
    known = prod(n for n in shape if n >= 0)
    if shape.count(-1) > 1 or min(shape) < -1:
        raise UnsupportedError(f"{printable(settings.get('shape', ''), code=True)} is not a shape", hint="write 2,3")
    shape = [count // known if n == -1 and known else n for n in shape]
    stem = name.rpartition("/")[2].partition(".")[0] or "data"
    row = {"name": stem, "dtype": settings["dtype"], "shape": shape, "offset": offset}
    return {"file": name, "byteorder": settings.get("byteorder", "little"), "tensors": [row]}


def _model(files: FileSet, manifest: Mapping[str, Any], limits: Limits, where: str) -> Model:
    rows = manifest.get("tensors")
    if not isinstance(rows, list):
        raise InvalidFileError("the manifest needs a list `tensors`")
    limits.check("tensors", len(rows), "tensors in the manifest")
    tensors: dict[str, Tensor] = {}
    folder = where.rpartition("/")[0]
    ends: dict[str, int] = {}
    for row in rows:
        if not isinstance(row, dict) or not isinstance(row.get("name"), str):
            raise InvalidFileError("a tensor of the manifest has no name")
        with located(tensor=row["name"]):
            _only(row, _EACH, "a tensor")
            if row["name"] in tensors:
                raise InvalidFileError("the same name twice")
            limits.check("name", len(row["name"]), "characters of a name")
            tensors[row["name"]] = _tensor(files, row, manifest, folder, ends)
    return Model("raw", files.refs(), tensors, metadata=_metadata(manifest.get("metadata")))


def _tensor(
    files: FileSet, row: Mapping[str, Any], manifest: Mapping[str, Any], folder: str, ends: dict[str, int]
) -> Tensor:
    """``ends`` has where the last tensor of each file ended, for rows without an offset."""
    dtype, encoding = _type(row.get("dtype"))
    shape, file = row.get("shape"), row.get("file", manifest.get("file"))
    if not isinstance(shape, list) or not all(type(n) is int and 0 <= n < 1 << 62 for n in shape):
        raise InvalidFileError(f"the shape {printable(repr(shape)[:80])} is no list of sizes")
    if not isinstance(file, str):
        raise InvalidFileError("no `file` for it")
    order = row.get("byteorder", manifest.get("byteorder", "little"))
    if order not in ("little", "big"):
        raise InvalidFileError(f"the byte order {printable(repr(order)[:40])} is neither little nor big")
    offset = row.get("offset", ends.get(file, 0))
    if type(offset) is not int or offset < 0:
        raise InvalidFileError(f"the offset {printable(repr(offset)[:40])} is no number")
    if encoding.name in BLOCKS and (not shape or shape[-1] % BLOCKS[encoding.name].elements):
        raise InvalidFileError(f"rows of {shape[-1] if shape else 1:,} are no whole blocks of `{encoding.name}`")
    size = nbytes(dtype, encoding, tuple(shape))
    name = f"{folder}/{file}" if folder else file
    source = files.open(name)
    ends[file] = offset + size
    if offset + size > source.size:
        raise DamagedFileError(
            f"data ends {offset + size - source.size:,} bytes after the end of the file", path=source.path,
            offset=offset, detail=f"needs bytes {offset:,}-{offset + size:,}; the file has {source.size:,}",
        )  # fmt: skip
    data = Stored((Extent(files.index(name), offset, size),), None, order)
    return Tensor(row["name"], dtype, tuple(shape), data, encoding)


def _type(name: Any) -> tuple[DType, Encoding]:
    if not isinstance(name, str) or name not in _TYPES:
        raise InvalidFileError(
            f"unknown dtype {printable(repr(name)[:40])}", hint="such as f32, f16, bf16, i8, u8, f8_e4m3, q8_0"
        )
    return (DTYPES["f32"], BLOCKS[name]) if name in BLOCKS else (DTYPES[name], plain_encoding(DTYPES[name]))


def _metadata(value: Any) -> Metadata:
    if value is None:
        return Metadata()
    if not isinstance(value, dict):
        raise InvalidFileError("`metadata` of the manifest is no table")
    typed = {k: v for k, v in value.items() if isinstance(v, dict) and v.keys() == {"type", "value"}}
    return Metadata({
        key: Entry(typed[key]["value"], str(typed[key]["type"])) if key in typed
        else item if isinstance(item, str) else Entry(item, "json")
        for key, item in value.items()
    })  # fmt: skip


def _plain(entry: Entry) -> Any:
    if entry.type == "str":
        return str(entry.value)
    return {"type": entry.type, "value": list(entry.value) if is_array(entry.value) else entry.value}


def _only(found: Mapping[str, Any], known: set[str], what: str) -> None:
    odd = sorted(set(found) - known)
    if odd:
        raise InvalidFileError(
            f"{what} has an unknown key {printable(odd[0], code=True)}", hint=f"known: {', '.join(sorted(known))}"
        )


def _number(text: str, what: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise UnsupportedError(f"{what} is a number, not {printable(text, code=True)}")
    return int(text)


FORMAT = Raw()
