"""Inputs for sources whose runtime says what it takes: sizes that are open are tried until the source runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from modelglot.graphs.workers.job import Array

_TRIES = (16, 64, 224, 1024, 12_000)
_MOST = 4_000_000  # elements of one input
Shape = Sequence["int | None"]
Port = tuple[str, Shape, str]  # name, sizes, numpy's name of the type


def examples(
    ports: Sequence[Port], run: Callable[[dict[str, Array]], list[Array]]
) -> tuple[dict[str, Array], list[Array]]:
    """Random inputs that the source takes, and what it makes of them. Raises what the last try raised."""
    last: Exception | None = None
    for size in _TRIES:
        inputs = {name: _random(shape, kind, size, number) for number, (name, shape, kind) in enumerate(ports)}
        if any(a.size > _MOST for a in inputs.values()):
            break
        try:
            outputs = run(inputs)
            if all(a.size for a in outputs):  # nothing is left of an input that is too short
                return inputs, outputs
        except Exception as error:  # the runtime's own classes
            last = error
            if all(None not in list(shape)[1:] for _, shape, _ in ports):
                break
    raise last if last is not None else ValueError("inputs with open sizes are too large")


def _random(shape: Shape, kind: str, size: int, seed: int) -> Array:
    rng = np.random.default_rng(seed)
    sizes = [n if n is not None and n >= 0 else (2 if axis == 0 else size) for axis, n in enumerate(shape)]
    dtype = np.dtype(kind)
    if dtype.kind == "f":
        return rng.standard_normal(sizes).astype(dtype)
    if dtype == np.int8 or dtype == np.uint8:  # quantized values use the whole range
        return rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, sizes, dtype=dtype, endpoint=True)
    return rng.integers(0, 2, sizes).astype(dtype)
