"""One ``.npy`` record as a tensor, or the values of a pickled array of objects: the same alone and inside ``.npz``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from modelglot.containers.npy_header import NpyHeader
from modelglot.containers.pickle import arrays, plain
from modelglot.containers.pickle.machine import Machine
from modelglot.containers.pickle.naming import name_tensors
from modelglot.containers.pickle.window import Place, Window
from modelglot.core.encoding import Opaque
from modelglot.core.errors import DamagedFileError, located, printable
from modelglot.core.limits import Limits
from modelglot.core.notes import Note
from modelglot.core.tensor import EMPTY, Extent, Stored, Tensor
from modelglot.core.tree import TensorRef

OBJECTS = "pickled-objects"


@dataclass(slots=True)
class Record:
    """``tensors`` and the ``tree`` that leads to them; ``end`` is where the record ends in its file or member."""

    tensors: dict[str, Tensor]
    tree: Any
    end: int
    notes: list[Note] = field(default_factory=list)


def tensor_record(name: str, header: NpyHeader, extent: Extent, start: int, have: int) -> Record:
    """A record of numbers. ``extent`` is the file's range that holds it, ``start`` where the record begins in there.

    ``have`` is how many (inflated) bytes the range holds. Raises DamagedFileError where the data is cut off.
    """
    begin = start + header.start
    end = begin + header.length
    with located(tensor=name):
        if end > have:
            raise DamagedFileError(
                f"data ends {end - have:,} bytes after the end of the array's bytes",
                offset=begin,
                detail=f"{header.descr} of shape {list(header.shape)} needs {header.length:,} bytes; "
                f"{max(0, have - begin):,} are there",
                hint="the file may be incomplete",
            )
    opaque = isinstance(header.encoding, Opaque)
    strides = None if opaque else header.strides
    if extent.codec == "raw":
        data = Stored((extent._replace(offset=extent.offset + begin, length=header.length),), strides, header.byteorder)
    else:
        data = Stored((extent,), strides, header.byteorder, begin)
    extra = {"npy:descr": header.descr, "npy:fortran": header.fortran} if opaque else EMPTY
    tensor = Tensor(name, header.dtype, header.shape, data, header.encoding, extra)
    notes = []
    if opaque:
        notes.append(
            Note(
                "opaque-dtype",
                f"{printable(name, code=True)} has the type "
                f"{printable(header.descr, code=True)}, which is no number type: carried as bytes",
            )
        )
    return Record({name: tensor}, TensorRef(name), end, notes)


def objects_record(prefix: str, window: Window, place: Place, limits: Limits, at: int) -> Record:
    """A pickled array of objects, read by the machine that imports and calls nothing.

    ``window`` begins with the pickle; ``at`` is its offset in the record's range. Offsets in errors are the window's.
    """
    limits.check("pickle", min(window.length, limits.pickle), "the pickle")
    machine = Machine(window, limits, {**plain.handlers(), **arrays.handlers(place)})
    value, end = machine.run()
    named = name_tensors(value, window, limits, prefix)
    where = printable(prefix, code=True) if prefix else "the file"
    note = Note(
        OBJECTS,
        f"{where} is a pickled array of objects, which NumPy only loads with `allow_pickle=True`; it "
        "was read without running anything",
    )
    return Record(named.tensors, named.tree, at + end, [note, *named.notes])
