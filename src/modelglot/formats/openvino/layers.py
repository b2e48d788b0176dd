"""What the operators of an OpenVINO model say of the constants they use, for `modelglot.core.layer.describe`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from modelglot.core.layer import Use, describe
from modelglot.core.tensor import Tensor

_KERNEL = {1: "w", 2: "hw", 3: "dhw"}
Shape = Callable[[int], tuple[int, ...]]  # of an input; () where it is no constant


@dataclass(slots=True)
class Node:
    """``inputs`` are the identities of the layers that give them, by port."""

    type: str
    attributes: Mapping[str, str]
    inputs: dict[int, str] = field(default_factory=dict)


def described(
    nodes: Mapping[str, Node], constants: Mapping[str, Tensor], said: dict[str, list[dict[str, Any]]]
) -> None:
    """Add to ``said`` what the nodes of one graph say; ``constants`` are its tensors by the identity of their layer."""
    for node in nodes.values():
        if node.type == "Add":
            uses = _bias(node, nodes, constants)
        else:
            rule = _RULES.get(node.type)
            uses = rule(node, lambda port, node=node: _shape(node, port, nodes, constants)) if rule else iter(())  # type: ignore[misc]
        for use in uses:
            tensor = _constant(node.inputs.get(use.input), nodes, constants)
            if tensor is not None:
                said.setdefault(tensor.name, []).append(describe(use.kind, use.role, use.axes, use.gates))


def _constant(identity: str | None, nodes: Mapping[str, Node], constants: Mapping[str, Tensor]) -> Tensor | None:
    """The constant, also behind a conversion of its type, which compressed weights have."""
    for _ in range(4):
        if identity is None or identity in constants:
            break
        node = nodes.get(identity)
        identity = node.inputs.get(0) if node is not None and node.type == "Convert" else None
    return constants.get(identity) if identity is not None else None


def _shape(node: Node, port: int, nodes: Mapping[str, Node], constants: Mapping[str, Tensor]) -> tuple[int, ...]:
    found = _constant(node.inputs.get(port), nodes, constants)
    return found.shape if found is not None else ()


def _bias(node: Node, nodes: Mapping[str, Node], constants: Mapping[str, Tensor]) -> Iterator[Use]:
    """What is added to the result of a convolution or product."""
    for port in (0, 1):
        other = nodes.get(node.inputs.get(1 - port, ""))
        kind = _ADDED_TO.get(other.type) if other is not None else None
        shape = _shape(node, port, nodes, constants)
        if kind is not None and sum(size != 1 for size in shape) == 1:
            yield Use(port, kind, "bias")


_ADDED_TO = {"Convolution": "conv", "GroupConvolution": "conv", "ConvolutionBackpropData": "conv-transpose",
             "MatMul": "dense"}  # fmt: skip


def _convolution(kind: str, axes: str) -> Callable[[Node, Shape], Iterator[Use]]:
    def rule(_: Node, shape: Shape) -> Iterator[Use]:
        spatial = _KERNEL.get(len(shape(1)) - 2)
        if spatial:
            yield Use(1, kind, "kernel", axes + spatial)

    return rule


def _group_convolution(_: Node, shape: Shape) -> Iterator[Use]:
    """Groups, outputs of one and inputs of one come first: all inputs and a multiplier where a group has one input."""
    kernel = shape(1)
    spatial = _KERNEL.get(len(kernel) - 3)
    if spatial and kernel[2] == 1:
        yield Use(1, "depthwise-conv", "kernel", "im1" + spatial)
    elif spatial:
        yield Use(1, "conv", "kernel")


def _product(node: Node, shape: Shape) -> Iterator[Use]:
    if len(shape(1)) == 2 and not shape(0):
        yield Use(1, "dense", "kernel", "oi" if node.attributes.get("transpose_b") in ("true", "1") else "io")


def _recurrent(kind: str, gates: str, first: int, axes: str) -> Callable[[Node, Shape], Iterator[Use]]:
    def rule(_: Node, __: Shape) -> Iterator[Use]:
        yield Use(first, kind, "kernel", axes, gates or None)
        yield Use(first + 1, kind, "recurrent-kernel", axes, gates or None)
        yield Use(first + 2, kind, "bias", axes[:-1], gates or None)

    return rule


_RULES: dict[str, Callable[[Node, Shape], Iterator[Use]]] = {
    "Convolution": _convolution("conv", "oi"), "ConvolutionBackpropData": _convolution("conv-transpose", "io"),
    "GroupConvolution": _group_convolution, "MatMul": _product,
    "LSTMCell": _recurrent("lstm", "fico", 3, "oi"), "LSTMSequence": _recurrent("lstm", "fico", 4, "noi"),
    "GRUCell": _recurrent("gru", "zrn", 2, "oi"), "GRUSequence": _recurrent("gru", "zrn", 3, "noi"),
    "RNNCell": _recurrent("rnn", "", 2, "oi"), "RNNSequence": _recurrent("rnn", "", 3, "noi"),
}  # fmt: skip
