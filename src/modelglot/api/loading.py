"""load(): a plain dict of one framework's arrays, ready for ``load_state_dict``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from modelglot.api.frameworks import convert_to
from modelglot.api.opening import open
from modelglot.api.reading import PathLike
from modelglot.engine.stream import read
from modelglot.passes.component import choose
from modelglot.passes.select import select


def load(
    path: PathLike,
    *,
    framework: str = "numpy",
    component: str | None = None,
    include: Iterable[str] = (),
    exclude: Iterable[str] = (),
    format: str | None = None,
) -> dict[str, Any]:
    """Tensors by name as arrays of ``framework``: numpy, torch, jax or tensorflow.

    Of a training checkpoint this is the model (or ``component``), with the names its module knows. ``include`` and
    ``exclude`` are globs; only what they leave is read. Tied tensors share memory, as in the file.
    """
    with open(path, format=format) as opened:
        model, _, _ = choose(opened.model, component)
        model = select(model, include, exclude)
        shared: dict[Any, Any] = {}
        out: dict[str, Any] = {}
        for name, tensor in model.tensors.items():
            key = (tensor.data, tensor.shape, tensor.dtype) if tensor.nbytes else name
            try:
                hash(key)
            except TypeError:  # computed tensors are never tied
                key = name
            if key not in shared:
                shared[key] = convert_to(framework, tensor, read(tensor, opened._pool))
            out[name] = shared[key]
        return out
