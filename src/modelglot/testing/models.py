"""Small models with every awkward shape: scalars, empties, one-element axes, odd sizes, unusual names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from modelglot.core.dtype import DTYPES
from modelglot.kernels.arrays import numpy_dtype

_SHAPES: dict[str, tuple[int, ...]] = {
    "layers.0.weight": (4, 6),
    "layers.0.bias": (6,),
    "layers.1.weight": (6, 1, 3),
    "empty": (0, 3),
    "scalar": (),
    "odd": (7,),
    "wörter/ünïcode name": (2, 2),
}


def tiny_state(dtypes: Iterable[str], *, seed: int = 0) -> dict[str, Any]:
    """Arrays by name, one of each shape for the first dtype and one matrix for each other; values are all bit
    patterns, so NaN and infinities are among them."""
    random = np.random.default_rng(seed)
    names = [d for d in dtypes if d in DTYPES and DTYPES[d].bits >= 8 and DTYPES[d].name not in ("opaque", "c32")]
    state: dict[str, Any] = {}
    for name, shape in _SHAPES.items():
        state[name] = _random(random, names[0], shape)
    for kind in names[1:]:
        state[f"types.{kind}"] = _random(random, kind, (3, 4))
    return state


def _random(random: np.random.Generator, kind: str, shape: tuple[int, ...]) -> Any:
    dtype = numpy_dtype(DTYPES[kind])
    count = int(np.prod(shape))
    if kind == "bool":
        return random.integers(0, 2, shape).astype(bool)
    return np.frombuffer(random.bytes(count * dtype.itemsize), dtype).reshape(shape)
