"""Any PyTorch file by its first bytes: shards and folders hold zip or legacy files, whatever the index is of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from modelglot.containers.torch_checkpoint.detect import is_legacy
from modelglot.containers.torch_checkpoint.reading import model
from modelglot.core.errors import DamagedFileError, printable
from modelglot.core.format import FileSet
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.core.tensor import Tensor

ReadOne = Callable[[FileSet, Limits, str], Model]


def read_file(files: FileSet, limits: Limits, name: str) -> Model:
    """One file, as the format it is in. Raises what its reader raises."""
    source = files.open(name)
    if is_legacy(source.pread(0, min(64, source.size))):
        from modelglot.containers.torch_checkpoint.legacy import read_legacy

        return model(files, "torch-legacy", read_legacy(files, name, limits))
    from modelglot.containers.torch_checkpoint.archive import read_zip

    return model(files, "torch-zip", read_zip(files, name, limits))


def read_slices(files: FileSet, limits: Limits, names: list[str], one: ReadOne = read_file) -> Model:
    """The slices of a model in Meta's layout: one as it is, several with the file's stem before their names.

    Raises DamagedFileError where a number is left out.
    """
    wanted = [f"consolidated.{n:02}.pth" for n in range(len(names))]
    gone = next((n for n in wanted if n not in names), None)
    if gone is not None:
        raise DamagedFileError(f"{printable(gone, code=True)} is missing, others of its kind are there")
    parts = [one(files, limits, name) for name in wanted]
    if len(parts) == 1:
        return parts[0]
    tensors: dict[str, Tensor] = {}
    for name, part in zip(wanted, parts, strict=True):
        stem = name.removesuffix(".pth")
        tensors |= {f"{stem}.{n}": replace(t, name=f"{stem}.{n}") for n, t in part.tensors.items()}
    limits.check("tensors", len(tensors), "tensors")
    notes = tuple(dict.fromkeys(note for part in parts for note in part.notes))
    return Model("torch-zip", files.refs(), tensors, "model-parallel", notes=notes)
