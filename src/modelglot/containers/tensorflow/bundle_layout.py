"""A bundle laid out: data files, and the index with a checksum of every tensor filled in when the data has passed."""

from __future__ import annotations

from typing import NamedTuple

from modelglot.containers import sstable
from modelglot.containers.tensorflow import strings
from modelglot.containers.tensorflow.dtypes import KINDS, NUMBERS, STRING
from modelglot.containers.tensorflow.entry import entry_bytes, header_bytes
from modelglot.containers.tensorflow.prefix import INDEX, data_name
from modelglot.core.encoding import Opaque
from modelglot.core.layout import Fixup, OutFile, Piece, Slot
from modelglot.core.tensor import Tensor
from modelglot.sources.checksums import masked


class Item(NamedTuple):
    """One entry: ``tensor`` is a name of the model, or None where ``data`` are the bytes."""

    key: bytes
    dtype: int
    shape: tuple[int, ...]
    length: int
    tensor: str | None = None
    data: bytes = b""
    crc: int = 0


def of_tensor(tensor: Tensor, key: str) -> Item | None:
    """None for what TensorFlow has no type for."""
    number = tensor.extra.get("tf:dtype")
    kind = KINDS.get(number) if isinstance(number, int) else None
    if isinstance(tensor.encoding, Opaque):  # read from a bundle: its checksum is not that of the stored bytes
        crc = tensor.extra.get("tf:crc32c")
        if not isinstance(number, int) or not isinstance(crc, int):
            return None
        return Item(key.encode(), number, tensor.shape, tensor.nbytes, tensor.name, crc=masked(crc))
    if not isinstance(number, int) or kind is None or kind.dtype != tensor.dtype:  # a quantized type stays that
        number = NUMBERS.get(tensor.dtype.name)
    return Item(key.encode(), number, tensor.shape, tensor.nbytes, tensor.name) if number is not None else None


def of_texts(key: str, shape: tuple[int, ...], texts: list[bytes]) -> Item:
    """A string tensor."""
    data, crc = strings.encode(texts)
    return Item(key.encode(), STRING, shape, len(data), None, data, crc)


def bundle_files(prefix: str, groups: list[list[Item]]) -> list[OutFile]:
    """A data file a group, in the order of the keys, then the index."""
    items = [sorted(group) for group in groups]
    files, entries, waiting = [], list[tuple[bytes, bytes]](), dict[bytes, tuple[int, int, int]]()
    for number, group in enumerate(items):
        at, slots, pieces = 0, list[Slot](), list[Piece]()
        for item in group:
            entries.append((item.key, entry_bytes(item.dtype, item.shape, number, at, item.length, item.crc)))
            if item.tensor is not None:
                slots.append(Slot(item.tensor, at, item.length))
                if not item.crc:
                    waiting[item.key] = number, at, item.length
            else:
                pieces.append(Piece(at, item.data))
            at += item.length
        files.append(OutFile(data_name(prefix, number, len(items)), at, tuple(pieces), tuple(slots)))
    entries.sort()
    table = sstable.build([(b"", header_bytes(len(items))), *entries])
    fixups: list[list[Fixup]] = [[] for _ in files]
    for (key, value), place in zip(entries, table.values[1:], strict=True):
        if key in waiting:
            number, at, length = waiting[key]
            where = (place + len(value) - 4,)
            fixups[number].append(Fixup("crc32c-masked", at, length, where, prefix + INDEX))
    files = [f._replace(fixups=tuple(made)) for f, made in zip(files, fixups, strict=True)]
    files.append(OutFile(prefix + INDEX, len(table.data), (Piece(0, table.data),), (), table.fixups))
    return files
