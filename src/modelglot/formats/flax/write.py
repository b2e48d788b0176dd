"""Writing: names are cut at their dots into nested maps, as Flax's own tree has them; the bytes are its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from modelglot.containers.msgpack import array_head, bin_head, ext_head, map_head, text, unsigned
from modelglot.core.errors import printable
from modelglot.core.layout import Layout, Options, OutFile, Piece, Slot
from modelglot.core.model import Model, ties
from modelglot.core.notes import Loss
from modelglot.core.tensor import Tensor
from modelglot.formats.flax import DTYPES, FOLDER, MOST
from modelglot.formats.flax.read import NDARRAY

_DEEPEST = 48  # levels, well below what readers follow
_FRAMEWORK = ("format",)  # names the framework of a safetensors file, which this file is by itself


def losses(model: Model) -> Iterable[Loss]:
    keys = [key for key in model.metadata if key not in _FRAMEWORK]
    if keys:
        shown = ", ".join(printable(key, code=True) for key in keys[:6]) + (" ..." if len(keys) > 6 else "")
        yield Loss("metadata", f"no place for metadata: {shown}")
    for tensor in model.tensors.values():
        if tensor.nbytes > MOST:
            yield Loss("size", f"tensor {printable(tensor.name, code=True)} has more than 4 GiB", "exclude or cast it")
    for group in ties(model.tensors):
        names = ", ".join(printable(n, code=True) for n in group[:4])
        yield Loss("ties", f"{names} share their bytes and are each written", stops=False)


def layout(model: Model, options: Options) -> Layout:
    """Equal trees give the bytes that ``flax.serialization`` writes."""
    held = {n: t for n, t in model.tensors.items() if t.dtype.name in DTYPES and t.nbytes <= MOST}
    pieces: list[Piece] = []
    slots: list[Slot] = []
    at, head = 0, bytearray()
    for part in _stream(_nested(held)):
        if isinstance(part, bytes):
            head += part
            continue
        pieces.append(Piece(at, bytes(head)))
        at, head = at + len(head), bytearray()
        slots.append(Slot(part.name, at, part.nbytes))
        at += part.nbytes
    pieces.append(Piece(at, bytes(head)))
    return Layout((OutFile(options.name or FOLDER, at + len(head), tuple(pieces), tuple(slots)),))


def _nested(tensors: dict[str, Tensor]) -> dict[str, Any]:
    """``a.b.c`` as three levels; flat where one name is the beginning of another, which no tree can be, or too deep."""
    root: dict[str, Any] = {}
    for name, tensor in tensors.items():
        *path, leaf = name.split(".")
        if len(path) > _DEEPEST:
            return dict(tensors)
        node = root
        for key in path:
            node = node.setdefault(key, {})
            if not isinstance(node, dict):
                return dict(tensors)
        if leaf in node:
            return dict(tensors)
        node[leaf] = tensor
    return root


def _stream(node: dict[str, Any]) -> Iterator[bytes | Tensor]:
    """The file as literal bytes, with the tensors whose bytes go between them."""
    yield map_head(len(node))
    for key, value in sorted(node.items()):  # as jax orders the leaves of a dict
        yield text(key)
        if isinstance(value, dict):
            yield from _stream(value)
        else:
            yield from _array(value)


def _array(tensor: Tensor) -> Iterator[bytes | Tensor]:
    shape = array_head(len(tensor.shape)) + b"".join(map(unsigned, tensor.shape))
    inner = array_head(3) + shape + text(DTYPES[tensor.dtype.name]) + bin_head(tensor.nbytes)
    yield ext_head(NDARRAY, len(inner) + tensor.nbytes) + inner
    yield tensor
