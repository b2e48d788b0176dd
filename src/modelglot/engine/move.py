"""One step: the bytes of a tensor from its sources to their place, hashed on the way. Nothing here knows of a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from modelglot.core.errors import PlanError
from modelglot.core.unusual import Unusual
from modelglot.engine.plan import Step
from modelglot.engine.stream import Open, chunks
from modelglot.sources.checksums import Checksum

Put = Callable[[int, "bytes | memoryview"], None]  # (offset in the output file, bytes)


class Item(NamedTuple):
    """A step under its number in the plan; ``kind`` is the checksum that a fix-up wants of all its bytes."""

    number: int
    step: Step
    kind: str | None = None


class Written(NamedTuple):
    """What is known of a step once its bytes are in their place."""

    number: int
    digest: str  # BLAKE3, hex
    unusual: Unusual
    stored_sum: bytes | None


def move(item: Item, sources: Open, put: Put) -> Written:
    """Hand the bytes of a step to ``put``, offsets ascending. Raises PlanError where they are not as many as planned,
    and the errors of `chunks`."""
    from blake3 import blake3

    step, hasher, covered = item.step, blake3(), 0
    summed = Checksum(item.kind) if item.kind is not None else None
    met = [Unusual()]
    for offset, data in chunks(step.tensor, sources, seen=lambda more: met.append(met.pop().plus(more))):
        if offset + len(data) > step.length:
            raise PlanError(f"the tensor has more than the {step.length:,} bytes that were planned")
        hasher.update(data)
        if summed is not None:
            summed.update(data)
        put(step.offset + offset, data)
        covered += len(data)
    if covered != step.length:
        raise PlanError(f"the tensor has {covered:,} bytes and {step.length:,} were planned")
    return Written(item.number, hasher.hexdigest(), met[0], summed.stored() if summed else None)
