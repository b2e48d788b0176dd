"""All tables as one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from modelglot.graphs.torchscript.operators import (
    activation,
    attention,
    composed,
    convolution,
    create,
    index,
    linear,
    lists,
    norm,
    parts,
    pointwise,
    pooling,
    recurrent,
    reduce,
    resize,
    shape,
    types,
)  # fmt: skip

_THEMES = (
    pointwise, activation, shape, parts, types, reduce, linear, convolution, norm, pooling, recurrent, attention, index,
    create, resize, composed,
)  # fmt: skip
OPERATORS: dict[str, Callable[..., Any]] = {}
for _theme in _THEMES:
    OPERATORS.update(_theme.TABLE)
LISTS: dict[str, Callable[..., Any]] = dict(lists.TABLE)
