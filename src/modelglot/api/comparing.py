"""diff() and digest(): questions about the logical bytes, the same for every format."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from modelglot.api.frameworks import to_numpy
from modelglot.api.reading import PathLike, read_model
from modelglot.core.errors import DamagedFileError
from modelglot.core.model import Model
from modelglot.core.tensor import Missing, Tensor
from modelglot.core.urls import public
from modelglot.engine.digest import model_digest, tensor_digests
from modelglot.engine.pool import SourcePool
from modelglot.engine.stream import read
from modelglot.features.diff.tensors import Diff, candidates, compare
from modelglot.features.diff.values import match as match_values
from modelglot.passes.component import choose
from modelglot.passes.layout import layout as to_layout
from modelglot.passes.layout import parse_axes
from modelglot.passes.select import select


@dataclass(frozen=True, slots=True)
class Digest:
    """``total`` identifies the weights: names, types, shapes and bytes, not format, order or metadata."""

    path: str
    total: str
    tensors: dict[str, str]
    said: str | None = None

    def document(self) -> dict[str, Any]:
        return {
            "schema": "modelglot.digest/1",
            "path": self.path,
            "algorithm": "blake3",
            "digest": self.total,
            "tensors": self.tensors,
        }


def digest(
    path: PathLike,
    *,
    component: str | None = None,
    include: Iterable[str] = (),
    exclude: Iterable[str] = (),
    format: str | None = None,
) -> Digest:
    """One digest of the weights and one of each tensor. Of a training checkpoint: the model, or ``component``.

    Raises DamagedFileError where tensors are missing, beside the errors of `open`.
    """
    model, said = _weights(path, component, format)
    model = select(model, include, exclude)
    for tensor in model.tensors.values():
        if isinstance(tensor.data, Missing):
            raise DamagedFileError(tensor.data.why, path=os.fspath(path), tensor=tensor.name)
    digests = _digests(model, list(model.tensors))
    return Digest(public(os.fspath(path)), model_digest(model.tensors, digests), digests, said)


def diff(
    left: PathLike,
    right: PathLike,
    *,
    component: str | None = None,
    include: Iterable[str] = (),
    exclude: Iterable[str] = (),
    match: str = "name",
    layout: str | None = None,
    axes: Iterable[str] = (),
) -> Diff:
    """Compare the weights of two files or folders bit for bit, whatever their formats.

    Only tensors of equal name, type and shape are read. Of a training checkpoint: the model, or ``component``.
    ``layout`` (torch, tf, keras) turns the kernels of both first, as `convert` does. With ``match="value"`` names do
    not matter: each tensor is held against all of the other side, also with its axes in another order.
    """
    models, notes = [], []
    for path in (left, right):
        model, said = _weights(path, component, None)
        if said:
            notes.append(f"{public(os.fspath(path))}: {said}")
        model = select(model, include, exclude)
        if layout is not None:
            model, undecided = to_layout(model, layout, parse_axes(axes))
            notes += [f"{public(os.fspath(path))}: {loss.what}" for loss in undecided]
        models.append(model)
    if match == "value":
        return _by_value((public(os.fspath(left)), public(os.fspath(right))), (models[0], models[1]), tuple(notes))
    names = candidates(models[0].tensors, models[1].tensors)
    digests = (_digests(models[0], names), _digests(models[1], names))
    return compare(
        (public(os.fspath(left)), public(os.fspath(right))), models[0].tensors, models[1].tensors, digests, tuple(notes)
    )


def _by_value(names: tuple[str, str], models: tuple[Model, Model], notes: tuple[str, ...]) -> Diff:
    digests = (_digests(models[0], list(models[0].tensors)), _digests(models[1], list(models[1].tensors)))
    pools = (SourcePool(models[0].files), SourcePool(models[1].files))

    def values(pool: SourcePool) -> Callable[[Tensor], Any]:
        return lambda tensor: to_numpy(tensor, read(tensor, pool))

    try:
        tensors = (models[0].tensors, models[1].tensors)
        return match_values(names, tensors, digests, (values(pools[0]), values(pools[1])), notes)
    finally:
        for pool in pools:
            pool.close()


def _weights(path: PathLike, component: str | None, format: str | None) -> tuple[Model, str | None]:
    model, _, said = choose(read_model(os.fspath(path), format=format), component)
    return model, said


def _digests(model: Model, names: list[str]) -> dict[str, str]:
    pool = SourcePool(model.files)
    try:
        return tensor_digests((model.tensors[n] for n in names), pool)
    finally:
        pool.close()
