"""What running a graph takes, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple


class Step(NamedTuple):
    """A node: its name, operator, shape of the first output, operations, and elements of the weights it uses."""

    name: str
    operator: str
    shape: tuple[int, ...]
    flops: int
    weights: int


@dataclass(frozen=True, slots=True)
class Cost:
    """``flops``: a multiplication and an addition are two. ``peak`` and ``activations`` are bytes of values that nodes
    make: the most at one time, and all of them. ``unknown`` counts, by operator, nodes whose shapes are not known:
    they are in no sum. ``repeated`` counts the loops, whose bodies are counted once."""

    inputs: Mapping[str, str]
    flops: int
    activations: int
    peak: int
    steps: tuple[Step, ...]
    unknown: Mapping[str, int]
    repeated: int = 0

    @property
    def by_operator(self) -> dict[str, int]:
        """FLOPs by operator, most first, without those that have none."""
        found: dict[str, int] = {}
        for step in self.steps:
            found[step.operator] = found.get(step.operator, 0) + step.flops
        return dict(sorted(((k, v) for k, v in found.items() if v), key=lambda item: -item[1]))

    def document(self) -> dict[str, Any]:
        return {
            "inputs": dict(self.inputs),
            "flops": self.flops,
            "activation_bytes": self.activations,
            "peak_activation_bytes": self.peak,
            "flops_by_operator": self.by_operator,
            "unknown": dict(self.unknown),
            "loops": self.repeated,
            "nodes": [
                {"name": s.name, "operator": s.operator, "shape": list(s.shape), "flops": s.flops, "weights": s.weights}
                for s in self.steps
            ],
        }
