"""Training states as JAX programs keep them: nested maps whose top has the parameters beside optimizer and counters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from modelglot.core.tree import Node, TensorRef

_STATE = ("opt_state", "opt", "optimizer", "step", "epoch", "rng")  # what is no part of the model


def parted(tree: Node) -> Node | None:
    """The model under ``model``, by dotted names, and beside it what is there for training.

    One flat mapping where there is no training state; None where there is nothing but tensors.
    """
    state = [(key, value) for key, value in tree.items if key in _STATE]
    model = [(".".join(path), value) for path, value in _leaves([p for p in tree.items if p not in state])]
    if not state:
        return None if all(isinstance(value, TensorRef) for _, value in model) else Node("dict", model)
    return Node("dict", [("model", Node("dict", model)), *state])


def _leaves(pairs: list[tuple[str, Any]], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in pairs:
        if isinstance(value, Node):
            yield from _leaves(value.items, (*path, key))
        else:
            yield (*path, key), value
