"""save(): arrays of any framework into any format that can be written, atomically."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from modelglot.api.finishing import run
from modelglot.api.memory import MemoryPool, gather
from modelglot.api.reading import PathLike
from modelglot.api.target import resolve_target, to_bytes
from modelglot.core.metadata import Metadata
from modelglot.core.model import Model
from modelglot.engine.execute import Receipt


def save(
    state: Mapping[str, Any],
    target: PathLike,
    *,
    to: str | None = None,
    metadata: Mapping[str, str] | None = None,
    max_shard_size: int | str | None = None,
    force: bool = True,
    allow_loss: Iterable[str] = (),
) -> Receipt:
    """Write a state dict, or a nested checkpoint where the format can hold one.

    Arrays may be numpy's, torch's, or anything ``numpy.asarray`` takes. Nested dicts, lists and plain values keep
    their place in formats with a tree. Like `torch.save`, an existing file is replaced; the old file stays whole
    until the new one is. Raises LossError where the format cannot hold something.
    """
    tree, tensors, buffers = gather(state)
    model = Model("memory", (), tensors, metadata=Metadata(dict(metadata or {})), tree=tree)
    place = resolve_target(os.fspath(target), to, "memory", to_bytes(max_shard_size))
    return run(model, place, force=force, allow=allow_loss, sources=MemoryPool(buffers))
