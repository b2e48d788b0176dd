"""NumPy ``.npy``: one array, or several saved into one file one after the other.

Specification: numpy.org, ``numpy.lib.format``. Arrays of Python objects are pickles and are read symbolically.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelglot.core.errors import UnsupportedError, located
from modelglot.core.format import FileSet, FormatInfo, Match, Probe, ReadOnly, Source
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.core.notes import Note
from modelglot.core.tensor import Extent
from modelglot.core.tree import Node, TensorRef

if TYPE_CHECKING:
    from modelglot.containers.npy_record import Record

_MAGIC = b"\x93NUMPY"


class Npy(ReadOnly):
    info = FormatInfo(
        name="npy",
        title="NumPy .npy",
        suffixes=(".npy",),
        spec="https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html",
        can=frozenset({"read"}),
        blurb="one NumPy array without a name; arrays of Python objects are pickles",
    )
    instead = "write .npz, which keeps the names"

    def sniff(self, probe: Probe) -> Match | None:
        if probe.is_folder or not probe.head.startswith(_MAGIC):
            return None
        if probe.name.lower().endswith(".eqx"):
            return Match(40, "starts with a NumPy array")
        return Match(100, "starts with `\\x93NUMPY`")

    def read(self, files: FileSet, limits: Limits) -> Model:
        """One array is called after the file, several ``arr_0``, ``arr_1`` ...; tensors in objects by their path."""
        name = files.primary
        if name is None:
            raise UnsupportedError(
                "a folder of .npy files is not one model", path=files.root, hint="name one of the files"
            )
        source = files.open(name)
        number = files.index(name)
        with located(path=source.path):
            first = self._record(source, number, 0, name.rpartition("/")[2].removesuffix(".npy"), limits)
            parts, end = [first], first.end
            while end < source.size and source.pread(end, min(6, source.size - end)) == _MAGIC:
                limits.check("tensors", len(parts), "arrays in the file", offset=end)
                parts.append(self._record(source, number, end, f"arr_{len(parts)}", limits))
                end = parts[-1].end
            if len(parts) > 1:
                parts[0] = self._record(source, number, 0, "arr_0", limits)
        notes = [note for part in parts for note in part.notes]
        if len(parts) > 1:
            notes.append(Note("several-arrays", f"{len(parts):,} arrays follow one another in this file"))
        if end < source.size:
            notes.append(Note("trailing-bytes", f"{source.size - end:,} bytes follow the array", "warning"))
        tensors = {n: t for part in parts for n, t in part.tensors.items()}
        tree = None
        if any(not isinstance(part.tree, TensorRef) for part in parts):
            tree = parts[0].tree if len(parts) == 1 else Node("list", [part.tree for part in parts])
        return Model(self.info.name, files.refs(), tensors, None, tree=tree, notes=tuple(notes))

    def _record(self, source: Source, number: int, start: int, name: str, limits: Limits) -> Record:
        from modelglot.containers import npy_header
        from modelglot.containers.npy_record import objects_record, tensor_record
        from modelglot.containers.pickle.window import Place, Window

        left = source.size - start
        with located(base=start):
            header = npy_header.parse(source.pread(start, min(npy_header.READ, left)))
        extent = Extent(number, 0, source.size)
        if not header.objects:
            return tensor_record(name, header, extent, start, source.size)
        at = start + header.start
        with located(base=at):
            place = Place(Extent(number, at, source.size - at))
            prefix = "" if header.shape == () and start == 0 else name
            return objects_record(prefix, Window(source, at, source.size - at), place, limits, at)


FORMAT = Npy()
