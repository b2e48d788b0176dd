"""Moving tensor bytes the slow and obvious way, to hold the engine and the formats against."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from itertools import product
from pathlib import Path

from modelglot.core.encoding import Blocks
from modelglot.core.layout import Layout, OutFile
from modelglot.core.model import Model
from modelglot.core.tensor import Inline, Stored, Tensor, contiguous_strides
from modelglot.sources.checksums import checksum


def tensor_bytes(model: Model, name: str) -> bytes:
    """The bytes of a tensor, contiguous and little-endian. Only for `Stored` and `Inline` data."""
    tensor = model.tensors[name]
    if isinstance(tensor.data, Inline):
        return tensor.data.data
    if not isinstance(tensor.data, Stored):
        raise TypeError(f"{name} has no bytes: {tensor.data}")
    raw = b"".join(_stored(model, e.file, e.offset, e.length, e.codec) for e in tensor.data.extents)[tensor.data.skip :]
    return _turned(tensor, _gathered(tensor, tensor.data.strides, raw), tensor.data.byteorder)


def _stored(model: Model, file: int, offset: int, length: int, codec: str) -> bytes:
    with open(model.files[file].path, "rb") as handle:
        handle.seek(offset)
        raw = handle.read(length)
    return zlib.decompress(raw, -15) if codec == "deflate" else raw


def _gathered(tensor: Tensor, strides: tuple[int, ...] | None, raw: bytes) -> bytes:
    if strides is None or strides == contiguous_strides(tensor.shape):
        return raw[: tensor.nbytes]
    item = tensor.dtype.itemsize
    places = (sum(i * s for i, s in zip(index, strides, strict=True)) for index in product(*map(range, tensor.shape)))
    return b"".join(raw[p * item : (p + 1) * item] for p in places)


def _turned(tensor: Tensor, raw: bytes, byteorder: str) -> bytes:
    if byteorder == "little":
        return raw
    out = bytearray(raw)
    if isinstance(tensor.encoding, Blocks):
        for block in range(0, len(raw), tensor.encoding.bytes):
            for offset, width in tensor.encoding.words or ():
                out[block + offset : block + offset + width] = raw[block + offset : block + offset + width][::-1]
        return bytes(out)
    width = tensor.dtype.swap
    for start in range(0, len(raw), width):
        out[start : start + width] = raw[start : start + width][::-1]
    return bytes(out)


def file_bytes(out: OutFile, model: Model) -> bytes:
    """The contents of one output file."""
    made = bytearray(out.size)
    for piece in out.pieces:
        made[piece.offset : piece.offset + len(piece.data)] = piece.data
    for slot in out.slots:
        data = tensor_bytes(model, slot.tensor)
        if len(data) != slot.length:
            raise ValueError(f"{slot.tensor}: slot of {slot.length} bytes for {len(data)}")
        made[slot.offset : slot.offset + slot.length] = data
    for fixup in out.fixups:
        if fixup.into is not None:
            raise NotImplementedError("a fix-up of another file")
        value = checksum(fixup.kind, [bytes(made[fixup.offset : fixup.offset + fixup.length])])
        for target in fixup.targets:
            made[target : target + 4] = value
    return bytes(made)


def write(layout: Layout, model: Model, folder: Path) -> Mapping[str, Path]:
    """The files of a layout, by name."""
    folder.mkdir(parents=True, exist_ok=True)
    made = {}
    for out in layout.files:
        made[out.name] = folder / out.name
        made[out.name].write_bytes(file_bytes(out, model))
    return made
