"""What readers of damaged files share: bytes that are not there, and several files in one.

A format that can be salvaged has a ``salvage`` beside its ``read`` (`core.format.Salvager`). It may describe tensors
whose extents end after their file, as the header says they would; `within` then tells the whole ones from the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from modelglot.core.errors import DamagedFileError, InvalidFileError
from modelglot.core.format import FileSet
from modelglot.core.model import Model
from modelglot.core.notes import Note
from modelglot.core.tensor import Derived, Extent, Missing, Stored, Tensor
from modelglot.sources.mended import Mended, MendedFiles

CUT = "cut-off"  # code of a note that says what else is lost, where no tensor can be named; it becomes a loss
_STAY: Mapping[int, int] = MappingProxyType({})
_BEYOND = "its bytes lie after the end of the file"


def within(model: Model) -> Model:
    """The model, with tensors `Missing` that reach beyond the end of a file."""
    ends = {number: ref.size for number, ref in enumerate(model.files)}
    return replace(model, tensors={name: _held(tensor, ends) for name, tensor in model.tensors.items()})


def joined(
    files: FileSet, name: str, parts: Iterable[Mended], read: Callable[[FileSet], Model], rest: str | None = None
) -> Model:
    """File ``name`` read part by part, each like a file of its own; a name that stands twice gets ``#2``.

    ``rest`` is said of a part that is cut off. Raises DamagedFileError where a part cannot be read.
    """
    models, notes = [], list[Note]()
    for part in parts:
        notes += [Note(CUT, rest)] if part.cut and rest is not None else []
        try:
            models.append(_placed(read(MendedFiles(files, name, part)), files.index(name), part))
        except InvalidFileError as error:
            raise DamagedFileError(
                f"cannot be mended: {error.what}", path=part.path, hint="get the file again"
            ) from error
    if not models:
        raise DamagedFileError("nothing of it can be read", path=files.open(name).path, hint="get the file again")
    if len(models) == 1:
        return replace(models[0], notes=(*models[0].notes, *notes))
    tensors: dict[str, Tensor] = {}
    for model in models:
        for key, tensor in model.tensors.items():
            number = 2
            while key in tensors:
                key, number = f"{tensor.name}#{number}", number + 1
            tensors[key] = replace(tensor, name=key)
    notes = [*(note for model in models for note in model.notes), *notes]
    return replace(models[0], tensors=tensors, tree=None, notes=tuple(dict.fromkeys(notes)))


def _placed(model: Model, number: int, part: Mended) -> Model:
    """At its place in the file, without what lies beyond the part."""
    sides = tuple(s for s in model.sides if s.extent is None or s.extent.offset + s.extent.length <= part.real)
    sides = tuple(s._replace(extent=_moved(s.extent, {number: part.begin})) if s.extent else s for s in sides)
    tensors = {n: _held(t, {number: part.real}, {number: part.begin}) for n, t in model.tensors.items()}
    return replace(model, tensors=tensors, sides=sides)


def _moved(extent: Extent, shifts: Mapping[int, int]) -> Extent:
    return extent._replace(offset=extent.offset + shifts.get(extent.file, 0))


def _held(tensor: Tensor, ends: Mapping[int, int], shifts: Mapping[int, int] = _STAY) -> Tensor:
    """`Missing` where an extent leaves the first ``ends`` bytes of its file, else moved by ``shifts``."""
    data = tensor.data
    if isinstance(data, Stored):
        if any(e.length and e.offset + e.length > ends.get(e.file, e.offset + e.length) for e in data.extents):
            return replace(tensor, data=Missing(_BEYOND))
        return replace(tensor, data=data._replace(extents=tuple(_moved(e, shifts) for e in data.extents)))
    if isinstance(data, Derived):
        inputs = tuple(_held(t, ends, shifts) for t in data.inputs)
        gone = next((t.data for t in inputs if isinstance(t.data, Missing)), None)
        return replace(tensor, data=gone or replace(data, inputs=inputs))
    return tensor
