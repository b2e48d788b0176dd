"""What is left of a damaged model: every tensor that is whole, and the names of those that are not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from modelglot.api.reading import detect, existing, read_as, read_model
from modelglot.containers.salvage import CUT, within
from modelglot.core.errors import (
    DamagedFileError,
    InvalidFileError,
    ModelFileError,
    UnsupportedError,
    located,
    printable,
)
from modelglot.core.format import Salvager
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.core.notes import Loss
from modelglot.core.tensor import Derived, Missing, Stored, Tensor
from modelglot.engine.pool import SourcePool
from modelglot.engine.stream import chunks
from modelglot.formats import registry
from modelglot.passes.select import prune

_SHOWN = 20


def salvage(path: str, format: str | None, limits: Limits | None) -> tuple[Model, list[Loss]]:
    """The whole tensors of a truncated file, of a set with a file missing or cut off, or of several files in one.

    Tensors with a checksum of their own (TensorFlow's checkpoints) are read and compared. Raises UnsupportedError where
    the format is not one that can be salvaged, DamagedFileError where nothing is whole.
    """
    model = _checked(within(_read(path, format, limits)))
    lost = [n for n, t in model.tensors.items() if isinstance(t.data, Missing)]
    gone = set(lost)
    kept = {n: t for n, t in model.tensors.items() if n not in gone}
    if not kept:
        raise DamagedFileError("no tensor of it is whole", path=path, hint="get the file again")
    losses = list(_losses(model, lost))
    if losses and model.graph is not None:
        left = f"the graph ({model.graph.dialect}, {model.graph.nodes:,} nodes) stays behind: not all it needs is there"
        losses.append(Loss("graph", left, stops=False))
        model = replace(model, graph=None)
    return replace(model, tensors=kept, tree=prune(model.tree, kept)), losses


def _losses(model: Model, lost: list[str]) -> Iterator[Loss]:
    yield from (Loss("missing", note.text, stops=False) for note in model.notes if note.code == CUT)
    if lost:
        shown = ", ".join(printable(n, code=True) for n in lost[:_SHOWN])
        shown += f" and {len(lost) - _SHOWN:,} more" if len(lost) > _SHOWN else ""
        yield Loss("missing", f"{len(lost):,} of {len(model.tensors):,} tensors are lost: {shown}", stops=False)


def _read(path: str, format: str | None, limits: Limits | None) -> Model:
    """As its reader does, where that can be, else as the format's `Salvager` does."""
    try:
        model = read_model(path, format=format, limits=limits)
        if not any(note.code == "zip-prefix" for note in model.notes):
            return model
        error: ModelFileError = InvalidFileError("bytes before the archive")  # another one than loaders take
    except (DamagedFileError, InvalidFileError) as found:
        error = found
    path = existing(path)
    chosen = registry.get(format) if format else detect(path)[0]
    if not isinstance(chosen, Salvager):
        known = ", ".join(f.info.title for f in registry.all_formats() if isinstance(f, Salvager))
        raise UnsupportedError(
            f"damaged {chosen.info.title} files are not mended: {error.what}",
            path=path,
            hint=f"`--salvage` knows {known}",
        ) from error
    with located(path=path):
        try:
            return read_as(chosen, path, limits or Limits(), read=chosen.salvage)
        except InvalidFileError as still:
            raise DamagedFileError(
                f"cannot be mended: {still.what}", path=still.path, tensor=still.tensor, hint="get the file again"
            ) from still


def _checked(model: Model) -> Model:
    """Without the tensors whose bytes are not what their checksum says."""
    pool = SourcePool(model.files)
    try:
        return replace(model, tensors={name: _compared(tensor, pool) for name, tensor in model.tensors.items()})
    finally:
        pool.close()


def _compared(tensor: Tensor, pool: SourcePool) -> Tensor:
    try:
        for part in _summed(tensor):
            for _ in chunks(part, pool):
                pass
    except DamagedFileError as error:
        return replace(tensor, data=Missing(error.what))
    return tensor


def _summed(tensor: Tensor) -> Iterator[Tensor]:
    """It, or the parts it is made of, where they have a checksum."""
    if isinstance(tensor.data, Derived):
        for part in tensor.data.inputs:
            yield from _summed(part)
    elif isinstance(tensor.data, Stored) and tensor.data.crc32c is not None:
        yield tensor
