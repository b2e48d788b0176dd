"""What TensorFlow Lite's operators say of the weights they use, as `modelglot.core.layer.describe` keeps it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from modelglot.containers.flatbuffer import Table
from modelglot.core.layer import GROUPS, Use, describe
from modelglot.core.tensor import Tensor


class Operator(NamedTuple):
    """``inputs`` and ``outputs`` are numbers of tensors of the subgraph, -1 where one is left out."""

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Table | None


Rule = Callable[[Operator], Iterable[Use]]


def described(
    operators: Iterable[Operator],
    weights: dict[int, str],
    tensors: Mapping[str, Tensor],
    said: dict[str, list[dict[str, Any]]],
) -> None:
    """Add what the operators of a subgraph say to ``said``, by name; ``weights`` names its tensors that have data."""
    known = dict(weights)
    for op in operators:
        if op.name in ("DEQUANTIZE", "DENSIFY") and op.inputs and op.outputs and op.inputs[0] in known:
            known[op.outputs[0]] = known[op.inputs[0]]  # half-precision and sparse weights pass through one of these
            continue
        for use in _RULES.get(op.name, _nothing)(op):
            name = known.get(op.inputs[use.input]) if use.input < len(op.inputs) else None
            if name is not None:
                entry = describe(use.kind, use.role, use.axes, use.gates)
                said.setdefault(name, []).append(entry | _groups(op, use, tensors[name]))


def _groups(op: Operator, use: Use, tensor: Tensor) -> dict[str, Any]:
    """The inputs of a depthwise kernel, whose last axis has all multipliers of each."""
    multiplier = op.options.signed(3) if op.name == "DEPTHWISE_CONV_2D" and op.options is not None else 0
    if use.role != "kernel" or multiplier < 1 or len(tensor.shape) != 4 or tensor.shape[3] % multiplier:
        return {}
    return {GROUPS: tensor.shape[3] // multiplier}


def _nothing(_: Operator) -> Iterable[Use]:
    return ()


def _weight(kind: str, axes: str, weight: int = 1, bias: int = 2) -> Rule:
    uses = (Use(weight, kind, "kernel", axes), Use(bias, kind, "bias"))
    return lambda _: uses


def _gather(op: Operator) -> Iterator[Use]:
    if op.options is not None and op.options.signed(0) == 0:
        yield Use(0, "embedding", "table")


def _lstm(_: Operator) -> Iterator[Use]:
    """Each gate has weights of its own, in the order input, forget, cell, output."""
    for number, gate in enumerate("ifco"):
        yield Use(1 + number, "lstm", "kernel", "oi", gate)
        yield Use(5 + number, "lstm", "recurrent-kernel", "oi", gate)
        yield Use(12 + number, "lstm", "bias", None, gate)


_RULES: dict[str, Rule] = {
    "CONV_2D": _weight("conv", "ohwi"),
    "DEPTHWISE_CONV_2D": _weight("depthwise-conv", "1hwo"),
    "CONV_3D": _weight("conv", "dhwio"),
    "TRANSPOSE_CONV": _weight("conv-transpose", "ohwi", 1, 3),
    "FULLY_CONNECTED": _weight("dense", "oi"),
    "EMBEDDING_LOOKUP": lambda _: (Use(1, "embedding", "table"),),
    "GATHER": _gather,
    "LSTM": _lstm,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _lstm,
}
