"""The weights in one of Keras' HDF5 files, each with what the configuration says of its layer; optimizers apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from modelglot.containers import strict_json
from modelglot.containers.hdf5.datasets import Place, tensors
from modelglot.containers.hdf5.described import Described
from modelglot.containers.keras.config import Layer, describe_path, findings, parse
from modelglot.core.errors import InvalidFileError, ModelFileError, printable
from modelglot.core.limits import Limits
from modelglot.core.notes import Note
from modelglot.core.tensor import Tensor
from modelglot.core.tree import Node, TensorRef

_MODEL = "model_weights/"  # where whole models keep them before Keras 3


class Weights(NamedTuple):
    tensors: dict[str, Tensor]
    notes: list[Note]


def read_weights(file: Described, place: Place, size: int, model: Layer | None, limits: Limits) -> Weights:
    """All datasets of an HDF5 file under their paths."""
    found: dict[str, Tensor] = {}
    notes: list[Note] = []
    for path, tensor, why in tensors(file, place, size, limits):
        if tensor is None:
            notes.append(Note("no-tensor", f"dataset {printable(path, code=True)} {why}"))
            continue
        said = describe_path(model, path.removeprefix(_MODEL)) if model is not None else {}
        found[path] = replace(tensor, extra={**tensor.extra, **said}) if said else tensor
        limits.check("tensors", len(found), "datasets")
    return Weights(found, notes)


def parts(found: Mapping[str, Tensor]) -> Node | None:
    """The model and its optimizer; None where there is only the one."""
    optimizer = [n for n in found if n.startswith(("optimizer/", "optimizer_weights/")) or "/optimizer/" in n]
    if not optimizer or len(optimizer) == len(found):
        return None
    apart = set(optimizer)
    model = [(n, TensorRef(n)) for n in found if n not in apart]
    return Node(
        "parts", [("model", Node("dict", model)), ("optimizer", Node("dict", [(n, TensorRef(n)) for n in optimizer]))]
    )


def read_config(text: str | bytes, what: str, limits: Limits) -> tuple[Layer | None, list[Note]]:
    """The model that a configuration describes, and warnings of code in it. One that is damaged is noted."""
    raw = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    limits.check("index", len(raw), what)
    try:
        model = parse(strict_json.loads(raw, what=what), limits)
        if model is None:
            raise InvalidFileError(f"{what} describes no model")
    except ModelFileError as error:
        return None, [Note("bad-config", error.what, "warning")]
    return model, [Note(f.rule, f"{f.what}; modelglot never runs it", "warning") for f in findings(model, "")]
