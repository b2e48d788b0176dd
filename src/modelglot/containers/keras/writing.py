"""Keras' weights laid out: an HDF5 file, alone or inside the zip of a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from modelglot.containers.hdf5.layout import Dataset, lay_out
from modelglot.containers.zip_layout import Entry, build
from modelglot.core.errors import printable
from modelglot.core.layout import Fixup, OutFile, Piece, Slot
from modelglot.core.model import Model, ties
from modelglot.core.notes import Loss
from modelglot.core.tensor import Missing, Tensor

DTYPES = frozenset({"f64", "f32", "f16", "bf16", "i64", "i32", "i16", "i8", "u64", "u32", "u16", "u8", "bool", "c64",
                    "c128"})  # fmt: skip
_CODES = {"f": "f", "i": "i", "u": "u", "c": "c"}


def losses(model: Model) -> Iterator[Loss]:
    for name, bad in _bad_names(model).items():
        yield Loss("name", f"tensor {printable(name, code=True)}: {bad}", "give it another with `--rename`")
    for group in ties(model.tensors):
        size = model.tensors[group[0]].nbytes * (len(group) - 1)
        shared = ", ".join(printable(n, code=True) for n in group[:4])
        yield Loss("ties", f"{shared} share their bytes and are each written (+{size:,} bytes)", stops=False)


def weights_file(name: str, model: Model) -> OutFile:
    """A dataset a tensor, under its name as a path. What `losses` names is left out."""
    bad = _bad_names(model)
    kept = [t for t in model.tensors.values() if t.name not in bad and not isinstance(t.data, Missing)]
    return lay_out(name, [_dataset(t) for t in kept])


def archive(name: str, model: Model, texts: Iterable[tuple[str, bytes]], weights: str) -> OutFile:
    """A stored zip of the texts and the weights. The HDF5 file inside is one member, whose checksum covers its data."""
    inner = weights_file(weights, model)
    entries = [Entry(n, text) for n, text in texts]
    whole = build(name, [*entries, Entry(weights, b"", weights, inner.size, alignment=64)])
    (member,) = whole.slots
    pieces = [Piece(member.offset + p.offset, p.data) for p in inner.pieces]
    slots = [Slot(s.tensor, member.offset + s.offset, s.length) for s in inner.slots]
    fixups: tuple[Fixup, ...] = whole.fixups
    return OutFile(name, whole.size, (*whole.pieces, *pieces), tuple(slots), fixups)


def _dataset(tensor: Tensor) -> Dataset:
    import numpy as np

    if tensor.dtype.name == "bf16":  # as Keras has it: two bytes that nobody interprets, and a word for them
        return Dataset(tensor.name, np.dtype("V2"), tensor.shape, tensor.nbytes, {"dtype": "bfloat16"})
    return Dataset(tensor.name, _kind(np, tensor), tensor.shape, tensor.nbytes)


def _kind(np: Any, tensor: Tensor) -> Any:
    if tensor.dtype.name == "bool":
        return np.dtype(bool)
    return np.dtype(f"<{_CODES[tensor.dtype.name[0]]}{tensor.dtype.itemsize}")


def _bad_names(model: Model) -> dict[str, str]:
    """Names that are no paths in an HDF5 file, and why."""
    bad: dict[str, str] = {}
    groups = {name[:at] for name in model.tensors for at in range(len(name)) if name[at] == "/"}
    for name in model.tensors:
        steps = name.split("/")
        if not name or "" in steps or "." in steps or "\0" in name:
            bad[name] = "the name is no path in an HDF5 file"
        elif name in groups:
            bad[name] = "the name is that of a group with other tensors"
        else:
            try:
                name.encode()
            except UnicodeEncodeError:
                bad[name] = "the name is not text"
    return bad
