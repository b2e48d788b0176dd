"""A path to a frozen model: detect the format, read the headers, restore what a plainer format had to wrap."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

from modelglot.api import ollama_store
from modelglot.containers.side_files import code_notes, is_weights, side_files
from modelglot.core.collector import paused
from modelglot.core.errors import DamagedFileError, InvalidFileError, located, printable
from modelglot.core.format import FileSet, Format, Match
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.core.notes import Note
from modelglot.formats import registry
from modelglot.formats.not_a_model import explain
from modelglot.passes.text_metadata import from_text, unwrap_blocks
from modelglot.sources.opening import AnyFiles, existing, is_folder, open_files, probe

PathLike = str | os.PathLike[str]
Read = Callable[[FileSet, Limits], Model]
__all__ = ["PathLike", "Read", "detect", "existing", "read_as", "read_model"]


def read_model(path: str, *, format: str | None = None, limits: Limits | None = None) -> Model:
    """`open` without the handle: the frozen description. Raises the errors of `open`."""
    stored = ollama_store.find(path, limits) if format is None else None
    if stored is not None:
        return _from_store(stored, limits or Limits())
    path = existing(path)
    with located(path=path):
        files = open_files(path)
        chosen = registry.get(format) if format else detect(path, files)[0]
        return read_as(chosen, path, limits or Limits(), files)


def _from_store(stored: ollama_store.Stored, limits: Limits) -> Model:
    """The model of Ollama's store, with what stands beside it there."""
    with located(path=stored.model):
        model = read_as(detect(stored.model)[0], stored.model, limits)
    notes = [Note("ollama-layer", f"the {kind} layer is not read") for kind in stored.others]
    return replace(model, sides=(*model.sides, *stored.sides), notes=(*model.notes, *notes))


def detect(path: str, files: AnyFiles | None = None) -> tuple[Format, Match]:
    """The format of a path and why; ``files`` are those of the path where they are open already."""
    return registry.detect(probe(files or open_files(path), path))


def _with_surroundings(files: AnyFiles, model: Model, limits: Limits) -> Model:
    """The other files of the folder: carried along, or named where they are weights of another kind."""
    sides = (*model.sides, *side_files(files, model))
    read = {ref.name for ref in files.refs()}
    others = [n for n in files.names() if is_weights(n) and n not in read and "/" not in n]
    notes = model.notes
    if others:
        names = ", ".join(printable(n, code=True) for n in others[:6]) + (" ..." if len(others) > 6 else "")
        notes = (*notes, Note("other-weights", f"the folder also holds {names}, not read and not carried along"))
    return replace(model, sides=sides, files=files.refs(), notes=(*notes, *code_notes(files, limits)))


def _explained(read: Read, files: AnyFiles, limits: Limits) -> Model:
    """Read; where that fails because a file of the folder is no model (a pointer, a web page), say that instead."""
    try:
        return read(files, limits)
    except (InvalidFileError, DamagedFileError) as error:
        name = os.path.relpath(error.path, files.root or ".") if error.path else None
        if name is not None and name != files.primary and name in files.names():
            found = explain(files, name, least=40)  # not for what only looks like a part of something
            if found is not None:
                raise found from error
        raise


def read_as(
    format: Format, path: str, limits: Limits, files: AnyFiles | None = None, *, read: Read | None = None
) -> Model:
    """Read with a format that is already known, or another ``read`` of its; a folder's other files become sides.
    ``files`` are those of the path where they are open already."""
    files = files or open_files(path)
    try:
        with paused():
            model = _explained(read or format.read, files, limits)
        if is_folder(path) or path.endswith(".index.json"):
            model = _with_surroundings(files, model, limits)
    finally:
        files.close()
    return unwrap_blocks(replace(model, metadata=from_text(model.metadata)))
