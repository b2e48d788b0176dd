"""The weights of one model put into another of the same format: tensors of equal name, dtype and shape are replaced."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from modelglot.core.errors import printable
from modelglot.core.model import Model
from modelglot.core.notes import Loss
from modelglot.core.tensor import Derived, Stored, Tensor

KIND = "into"


def fill(template: Model, model: Model) -> tuple[Model, list[Loss]]:
    """The template with the tensors of ``model``, and a loss for each kind of tensor that does not find its place.

    Allowed, the template's own stay where nothing fits, and what it has no place for is left out.
    """
    start = len(model.files)
    fitting = {n for n, t in model.tensors.items() if n in template.tensors and _fits(t, template.tensors[n])}
    tensors = {n: model.tensors[n] if n in fitting else _moved(t, start) for n, t in template.tensors.items()}
    filled = replace(
        template,
        files=(*model.files, *template.files),
        tensors=tensors,
        sides=model.sides,
        notes=(*model.notes, *template.notes),
    )
    return filled, list(_losses(template, model, fitting))


def _fits(tensor: Tensor, place: Tensor) -> bool:
    return (tensor.dtype, tensor.encoding, tensor.shape) == (place.dtype, place.encoding, place.shape)


def _losses(template: Model, model: Model, fitting: set[str]) -> Iterator[Loss]:
    differing = [
        f"{printable(n, code=True)} ({_kind(t)}, the template has {_kind(template.tensors[n])})"
        for n, t in model.tensors.items()
        if n in template.tensors and n not in fitting
    ]
    if differing:
        yield Loss(KIND, f"{_some(differing)} of another dtype or shape", "`--dtype` casts; shapes must be equal")
    surplus = [printable(n, code=True) for n in model.tensors if n not in template.tensors]
    if surplus:
        yield Loss(
            KIND,
            f"the template has no place for {_some(surplus)}",
            "`--rename` gives tensors the names of the template",
        )
    kept = [printable(n, code=True) for n, t in template.tensors.items() if n not in model.tensors and t.nbytes]
    if kept:
        yield Loss(KIND, f"the source does not have {_some(kept)}: the template's own would stay")


def _kind(tensor: Tensor) -> str:
    return f"{tensor.type_name} {list(tensor.shape)}"


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - 4:,} more" if len(listed) > 4 else ""
    return ", ".join(listed[:4]) + more


def _moved(tensor: Tensor, by: int) -> Tensor:
    """The same tensor where its model's files come after ``by`` others."""
    data = tensor.data
    if isinstance(data, Stored):
        return replace(tensor, data=data._replace(extents=tuple(e._replace(file=e.file + by) for e in data.extents)))
    if isinstance(data, Derived):
        return replace(tensor, data=replace(data, inputs=tuple(_moved(t, by) for t in data.inputs)))
    return tensor
