"""Typed metadata and block encodings in formats that only hold text and plain tensors, and back again.

safetensors keeps ``str -> str``. Other values go in as JSON text, with their types under `TYPES`; quantized blocks go
in as bytes ``[..., row bytes]``, with encoding and shape under `ENCODINGS`. Reading the result restores both exactly.
"""

from __future__ import annotations

import json
from dataclasses import replace
from math import prod
from typing import Any

from modelglot.core.dtype import DTYPES
from modelglot.core.encoding import BLOCKS, PLAIN, Blocks, nbytes
from modelglot.core.metadata import Entry, Metadata, is_array
from modelglot.core.model import Model
from modelglot.core.notes import Note
from modelglot.core.tensor import Tensor

TYPES, ENCODINGS = "modelglot.types", "modelglot.encodings"


def to_text(metadata: Metadata) -> Metadata:
    """Every value as text; a key's type is kept unless it is ``str``."""
    types = {key: entry.type for key, entry in metadata.entries() if entry.type != "str"}
    if not types:
        return metadata
    texts: dict[str, Entry | str] = {}
    for key, entry in metadata.entries():
        value: Any = list(entry.value) if is_array(entry.value) else entry.value
        texts[key] = value if entry.type == "str" else json.dumps(value, separators=(",", ":"), default=list)
    texts[TYPES] = json.dumps(types, separators=(",", ":"))
    return Metadata(texts)


def from_text(metadata: Metadata) -> Metadata:
    """The inverse of `to_text`. Metadata that does not fit its own type table is left as it is."""
    try:
        types = json.loads(metadata[TYPES])
        entries = {
            key: Entry(json.loads(entry.value), types[key]) if key in types else entry
            for key, entry in metadata.entries()
            if key != TYPES
        }
    except (KeyError, ValueError, TypeError, RecursionError):
        return metadata
    return Metadata(entries)


def with_framework(metadata: Metadata, framework: str | None, *, keep: bool) -> Metadata:
    """The ``format`` key by which safetensors files name a framework, and which some loaders insist on.

    ``keep``: the target is such a file, so the key is added where the source tells its framework. Otherwise the key
    is dropped: it says nothing about another format.
    """
    if keep:
        if framework is None or "format" in metadata:
            return metadata
        return Metadata({"format": framework, **dict(metadata.entries())})
    if metadata.get("format") not in ("pt", "tf", "flax", "np", "mlx"):
        return metadata
    return Metadata({k: e for k, e in metadata.entries() if k != "format"})


def wrap_blocks(model: Model) -> Model:
    """Quantized blocks as u8 tensors, exactly and without decoding; what they are goes into the metadata."""
    blocks = {n: t for n, t in model.tensors.items() if isinstance(t.encoding, Blocks)}
    if not blocks:
        return model
    record = {n: [t.encoding.name, t.shape[-1]] for n, t in blocks.items()}
    tensors = {n: _wrapped(t) if n in blocks else t for n, t in model.tensors.items()}
    metadata = Metadata({**dict(model.metadata.entries()), ENCODINGS: json.dumps(record, separators=(",", ":"))})
    note = Note(
        "raw-blocks",
        f"{len(blocks):,} quantized tensors are kept as raw blocks in u8 tensors; "
        "modelglot reads them back exactly, other programs see bytes",
        "warning",
    )
    return replace(model, tensors=tensors, metadata=metadata, notes=(*model.notes, note))


def _wrapped(tensor: Tensor) -> Tensor:
    row = nbytes(tensor.dtype, tensor.encoding, tensor.shape[-1:])
    return replace(tensor, dtype=DTYPES["u8"], encoding=PLAIN, shape=(*tensor.shape[:-1], row))


def unwrap_blocks(model: Model) -> Model:
    """The inverse of `wrap_blocks`; entries that do not fit their tensor are ignored with a note."""
    if ENCODINGS not in model.metadata:
        return model
    tensors, wrong = dict(model.tensors), 0
    try:
        record = json.loads(model.metadata[ENCODINGS])
        for name, (encoding, row) in record.items():
            tensor = tensors.get(name)
            made = _unwrapped(tensor, BLOCKS.get(encoding), row) if tensor else None
            wrong += made is None
            tensors[name] = made or tensors[name]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        wrong += 1
    notes = model.notes
    if wrong:
        notes = (*notes, Note("bad-encodings", f"`{ENCODINGS}` in the metadata does not fit the tensors", "warning"))
    metadata = Metadata({k: e for k, e in model.metadata.entries() if k != ENCODINGS})
    return replace(model, tensors=tensors, metadata=metadata, notes=notes)


def _unwrapped(tensor: Tensor, blocks: Blocks | None, row: int) -> Tensor | None:
    if blocks is None or tensor.dtype.name != "u8" or not tensor.shape or type(row) is not int or row <= 0:
        return None
    shape = (*tensor.shape[:-1], row)
    whole = row % blocks.elements == 0 and prod(shape) // blocks.elements * blocks.bytes == tensor.nbytes
    return replace(tensor, dtype=DTYPES["f32"], encoding=blocks, shape=shape) if whole else None
