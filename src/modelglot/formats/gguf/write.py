"""A model as GGUF version 3, little-endian: what it cannot hold, and where every byte goes.

The order of keys and tensors is kept, so a file that llama.cpp's or the `gguf` package's writer made is laid out again
byte for byte.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from modelglot.core.encoding import PLAIN, Blocks, Opaque, Packed
from modelglot.core.errors import InvalidFileError, printable
from modelglot.core.layout import Layout, Options, OutFile, Piece, Slot, align, shard
from modelglot.core.metadata import Entry
from modelglot.core.model import Model, ties
from modelglot.core.notes import Loss
from modelglot.core.tensor import Missing, Tensor
from modelglot.formats.gguf import types
from modelglot.formats.gguf.header import is_alignment
from modelglot.formats.gguf.split import SPLIT_KEYS
from modelglot.formats.gguf.values import NotHoldable, pack_entry

ALIGNMENT = "general.alignment"
SETTING = "gguf:alignment"


def losses(model: Model) -> Iterator[Loss]:
    """Each thing GGUF cannot hold; see `layout` for what then happens to it."""
    for key, entry in model.metadata.entries():
        if key in SPLIT_KEYS:
            continue
        why = _unpackable(key, entry)
        if why:
            yield Loss("metadata", f"metadata {printable(key, code=True)}: {why}", "leave it out, or make it text")
    unknown: dict[str, list[str]] = {}
    for tensor in model.tensors.values():
        problem = _problem(tensor)
        if problem and problem.kind == "dtype":
            unknown.setdefault(tensor.type_name, []).append(tensor.name)
        elif problem:
            yield problem
        elif not tensor.shape:
            shown = printable(tensor.name, code=True)
            yield Loss("shape", f"tensor {shown} has no axes and is written as `[1]`", stops=False)
    for kind, names in unknown.items():
        yield Loss(
            "dtype",
            f"no `{kind}` in GGUF: {len(names):,} tensors, such as {printable(names[0], code=True)}",
            "`--dtype` casts floats on the way",
        )
    for group in ties(model.tensors):
        size = model.tensors[group[0]].nbytes * (len(group) - 1)
        shared = ", ".join(printable(n, code=True) for n in group[:4])
        yield Loss("ties", f"{shared} share their bytes and are each written (+{size:,} bytes)", stops=False)
    if "general.architecture" not in model.metadata:
        yield Loss(
            "no-architecture",
            "the metadata has no `general.architecture`: the file will be a container of tensors "
            "that no runtime loads as a model",
            "a Hugging Face folder, with its config.json, is translated for llama.cpp; its weights alone are not",
            False,
        )


def _unpackable(key: str, entry: Entry) -> str | None:
    packed = _packed(key, entry)
    return packed if isinstance(packed, str) else None


def _packed(key: str, entry: Entry) -> bytes | str:
    """The entry as bytes, or why it has none."""
    if key == ALIGNMENT and not (entry.type == "u32" and isinstance(entry.value, int) and is_alignment(entry.value)):
        return "not an alignment: a u32 that is a power of two"
    try:
        return pack_entry(key, entry)
    except NotHoldable as why:
        return str(why)


def _name_bytes(name: str) -> bytes | None:
    try:
        return name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return None


def _problem(tensor: Tensor) -> Loss | None:
    """Why a tensor cannot be in a GGUF file; names of 64 to 127 bytes can when the loss is allowed."""
    raw = _name_bytes(tensor.name)
    usual = raw is not None and len(raw) < types.USUAL_NAME and len(tensor.shape) <= types.MAX_DIMS
    if usual and tensor.encoding is PLAIN and tensor.dtype.name in types.TYPE_NUMBERS:
        return None  # nearly every tensor, and there can be 100,000
    shown = f"tensor {printable(tensor.name, code=True)}"
    if raw is None:
        return Loss("name", f"{shown}: the name is not text", "give it another with `--rename`")
    if len(raw) >= types.USUAL_NAME:
        return Loss(
            "name",
            f"{shown}: the name has {len(raw)} bytes; llama.cpp takes fewer than {types.USUAL_NAME}",
            "give it a shorter one with `--rename`",
        )
    if len(tensor.shape) > types.MAX_DIMS:
        return Loss("shape", f"{shown} has {len(tensor.shape)} axes; GGUF holds at most {types.MAX_DIMS}")
    if type_number(tensor) is None:
        return Loss("dtype", f"{shown}: GGUF has no `{tensor.type_name}`")
    if isinstance(tensor.encoding, Blocks) and tensor.numel and tensor.shape[-1] % tensor.encoding.elements:
        return Loss("shape", f"{shown}: rows of {tensor.shape[-1]:,} cannot be cut in {tensor.encoding.name} blocks")
    return None


def type_number(tensor: Tensor) -> int | None:
    """The number of the tensor's type in ggml, or None where it has none."""
    if isinstance(tensor.encoding, Opaque):
        number = tensor.extra.get("gguf:type")
        return number if isinstance(number, int) else None
    if isinstance(tensor.encoding, Packed):
        return None
    return types.TYPE_NUMBERS.get(tensor.type_name)


def _holdable(tensor: Tensor) -> bool:
    if isinstance(tensor.data, Missing):
        return False
    problem = _problem(tensor)
    if problem is None:
        return True
    raw = _name_bytes(tensor.name)
    return (
        problem.kind == "name"
        and raw is not None
        and len(raw) < types.MAX_NAME
        and len(tensor.shape) <= types.MAX_DIMS
        and type_number(tensor) is not None
    )


def layout(model: Model, options: Options) -> Layout:
    """One file, or ``stem-00001-of-0000N.gguf`` with the metadata in the first. Padded as the reference writers do."""
    alignment, entries = _metadata(model, options)
    tensors = {n: t for n, t in model.tensors.items() if _holdable(t)}
    groups = shard({n: t.nbytes for n, t in tensors.items()}, options)
    name = options.name or "model.gguf"
    if len(groups) == 1:
        return Layout((_file(name, entries, [tensors[n] for n in groups[0]], alignment),))
    if len(groups) > 0xFFFF:
        raise InvalidFileError(f"{len(groups):,} files; GGUF counts at most 65,535", hint="raise `--max-shard-size`")
    stem = name.removesuffix(".gguf")
    files = []
    for number, group in enumerate(groups):
        split = _split_entries(number, len(groups), len(tensors))
        keys = (entries if number == 0 else _only_alignment(entries)) | split
        out = f"{stem}-{number + 1:05}-of-{len(groups):05}.gguf"
        files.append(_file(out, keys, [tensors[n] for n in group], alignment))
    return Layout(tuple(files))


def _metadata(model: Model, options: Options) -> tuple[int, dict[str, bytes]]:
    """The alignment and the packed entries, without what `losses` named."""
    tried = {k: _packed(k, e) for k, e in model.metadata.entries() if k not in SPLIT_KEYS}
    packed = {k: raw for k, raw in tried.items() if isinstance(raw, bytes)}
    alignment = int(model.metadata[ALIGNMENT]) if ALIGNMENT in packed else types.DEFAULT_ALIGNMENT
    wanted = options.settings.get(SETTING)
    if wanted is not None:
        if not (wanted.isascii() and wanted.isdigit() and is_alignment(int(wanted[:9]))):
            raise InvalidFileError(
                f"`{SETTING}={printable(wanted)}` is not an alignment",
                hint=f"a power of two from 1 to {types.MAX_ALIGNMENT:,}",
            )
        alignment = int(wanted)
        packed[ALIGNMENT] = pack_entry(ALIGNMENT, Entry(alignment, "u32"))
    return alignment, packed


def _only_alignment(entries: dict[str, bytes]) -> dict[str, bytes]:
    return {k: v for k, v in entries.items() if k == ALIGNMENT}


def _split_entries(number: int, count: int, tensors: int) -> dict[str, bytes]:
    values = (Entry(number, "u16"), Entry(count, "u16"), Entry(tensors, "i32"))
    return {key: pack_entry(key, entry) for key, entry in zip(SPLIT_KEYS, values, strict=True)}


def _file(name: str, entries: dict[str, bytes], tensors: Iterable[Tensor], alignment: int) -> OutFile:
    head = [b""]
    slots: list[tuple[str, int, int]] = []
    offset = 0
    u64 = struct.Struct("<Q").pack
    kinds: dict[tuple[object, ...], bytes] = {}  # few pairs of shape and type, many tensors
    for tensor in tensors:
        raw = tensor.name.encode("utf-8", "surrogateescape")
        number = type_number(tensor)
        numbers = kinds.get((tensor.shape, number))
        if numbers is None:
            dims = tensor.shape[::-1] or (1,)
            numbers = kinds[tensor.shape, number] = struct.pack(f"<I{len(dims)}QI", len(dims), *dims, number)
        length = tensor.nbytes
        head.append(u64(len(raw)) + raw + numbers + u64(offset))
        slots.append((tensor.name, offset, length))
        offset = -(-(offset + length) // alignment) * alignment
    head[0] = b"GGUF" + struct.pack("<IQQ", 3, len(slots), len(entries)) + b"".join(entries.values())
    header = b"".join(head)
    start = align(len(header), alignment) if slots else len(header)
    return OutFile(name, start + offset, (Piece(0, header),), tuple(Slot(n, start + o, s) for n, o, s in slots))
