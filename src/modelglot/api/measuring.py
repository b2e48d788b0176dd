"""stats() and compare(): questions about the values themselves."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from modelglot.api.reading import PathLike, read_model
from modelglot.core.model import Model
from modelglot.core.tensor import Tensor
from modelglot.core.urls import public
from modelglot.engine.pool import SourcePool
from modelglot.engine.values import aligned, has_numbers, numbers
from modelglot.features.compare.errors import Comparison, TensorError
from modelglot.features.compare.errors import compare as compare_values
from modelglot.features.stats.tensors import Statistics, measure
from modelglot.passes.component import choose
from modelglot.passes.select import select


def stats(
    path: PathLike, *, include: Iterable[str] = (), exclude: Iterable[str] = (), component: str | None = None
) -> Iterator[Statistics]:
    """One `Statistics` a tensor, as they are read; quantized blocks are decoded, tensors without numbers left out."""
    model = _model(path, component, include, exclude)
    pool = SourcePool(model.files)
    try:
        for tensor in model.tensors.values():
            if has_numbers(tensor):
                yield measure(tensor.name, tensor.type_name, numbers(tensor, pool))
    finally:
        pool.close()


def compare(
    left: PathLike,
    right: PathLike,
    *,
    include: Iterable[str] = (),
    exclude: Iterable[str] = (),
    component: str | None = None,
) -> Comparison:
    """What ``right`` lost against ``left``: tensors of equal names and shapes, value by value."""
    a, b = (_model(p, component, include, exclude) for p in (left, right))
    both = [n for n in a.tensors if n in b.tensors]
    same = [n for n in both if a.tensors[n].shape == b.tensors[n].shape]
    pools = SourcePool(a.files), SourcePool(b.files)
    try:
        errors = tuple(
            compare_tensors(a.tensors[n], b.tensors[n], pools)
            for n in same
            if has_numbers(a.tensors[n]) and has_numbers(b.tensors[n])
        )
    finally:
        for pool in pools:
            pool.close()
    return Comparison(
        public(os.fspath(left)),
        public(os.fspath(right)),
        errors,
        a.nbytes,
        b.nbytes,
        tuple(n for n in a.tensors if n not in b.tensors),
        tuple(n for n in b.tensors if n not in a.tensors),
        tuple(n for n in both if n not in set(same)),
    )


def _model(path: PathLike, component: str | None, include: Iterable[str], exclude: Iterable[str]) -> Model:
    model, _, _ = choose(read_model(os.fspath(path)), component)
    return select(model, include, exclude)


def compare_tensors(left: Tensor, right: Tensor, pools: tuple[SourcePool, SourcePool]) -> TensorError:
    """How far the values of ``right`` are from those of ``left``; the shapes are equal."""
    bits = right.nbytes * 8 / right.numel if right.numel else 0.0
    pairs = aligned(numbers(left, pools[0]), numbers(right, pools[1]))
    return compare_values(left.name, (left.type_name, right.type_name), bits, pairs)
