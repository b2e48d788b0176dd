"""What the operators of the graph say of the weights they use, as `modelglot.core.layer.describe` keeps it.

A weight may come through operators that do not change what it is (Identity, Cast, DequantizeLinear) or that change the
order of its axes (Transpose). One whose uses disagree is not described.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from modelglot.core.layer import GROUPS, LAYER, LEVEL, Use, agreed, describe
from modelglot.core.tensor import Tensor
from modelglot.formats.onnx.walk import Node, Ref

_KERNEL = {1: "w", 2: "hw", 3: "dhw"}
_DOMAINS = ("", "ai.onnx", "com.microsoft")
_NUMBERED = re.compile(r"onnx::\w+_\d+|(?:val_|_v_)?\d+|.*/Constant(?:_\d+)?_output_0", re.ASCII)
_LEVEL = re.compile(r"_(\d+)$", re.ASCII)
_SAME = ("Identity", "Cast", "DequantizeLinear")


Shape = Callable[[int], tuple[int, ...]]  # of an input; () where it is no weight


def described(nodes: Iterable[Node], tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Any]]:
    """Entries for ``Tensor.extra`` by name."""
    found: dict[str, list[dict[str, Any]]] = {}
    users: dict[str, set[str]] = {}  # paths of the nodes that use a weight without a name of its own
    dense: set[tuple[int, str]] = set()  # results of a product with a weight, by scope: what is added is its bias
    for node in nodes:
        if node.domain not in _DOMAINS:
            continue
        refs = [node.scope.find(value) if value else None for value in node.inputs]
        if node.operator in _SAME or node.operator == "Transpose":
            _pass_on(node, refs, tensors)
            continue
        if not any(refs):
            continue
        rule = _RULES.get(node.operator)
        if node.operator == "Add":
            rule = _bias if any((id(node.scope), v) in dense for v in node.inputs) else None
        if rule is None:
            continue
        for use in rule(node, lambda number, refs=refs: _shape(refs, number, tensors)):  # type: ignore[misc]
            ref = refs[use.input] if use.input < len(refs) else None
            if ref is not None:
                found.setdefault(ref.tensor, []).append(_entries(use, ref, node))
                if is_anonymous(ref.tensor):
                    users.setdefault(ref.tensor, set()).add(f"{node.module}/{node.name}" if node.module else node.name)
                if use.kind == "dense" and use.role == "kernel" and len(node.inputs) == 2:
                    dense.update((id(node.scope), value) for value in node.outputs)
    made = agreed(found)
    return {n: {**extra, **_layer(users[n])} if n in users else extra for n, extra in made.items()}


def is_anonymous(name: str) -> bool:
    """True where an exporter only numbered a tensor, which it does when it has changed it: ``onnx::MatMul_123``."""
    return _NUMBERED.fullmatch(name) is not None


def _layer(users: set[str]) -> dict[str, Any]:
    """The layer that the one node which uses a weight is named after: ``/encoder/layers.0/fc/MatMul``.

    A part of such a path that goes on where the one before ends has that one inside: ``/fc/fc.1/`` is ``fc.1``.
    """
    path = [part for part in next(iter(users)).split("/") if part] if len(users) == 1 else []
    layer: list[str] = []
    for part in path[:-1]:
        if layer and part.startswith(layer[-1] + "."):
            layer.pop()
        layer.append(part)
    if not layer:
        return {}
    level = _LEVEL.search(path[-1])
    return {LAYER: "/".join(layer), **({LEVEL: int(level[1])} if level else {})}


def _pass_on(node: Node, refs: list[Ref | None], tensors: Mapping[str, Tensor]) -> None:
    """The result of an operator that keeps a weight a weight is known as that weight."""
    if not refs or refs[0] is None or not node.outputs:
        return
    ref = refs[0]
    if node.operator == "Transpose":
        rank = len(tensors[ref.tensor].shape)
        perm = node.attributes.get("perm", list(range(rank))[::-1])
        if not isinstance(perm, list) or sorted(perm) != list(range(rank)):
            return
        before = ref.perm or tuple(range(rank))
        ref = Ref(ref.tensor, tuple(before[axis] for axis in perm))
    node.scope.values.setdefault(node.outputs[0], ref)


def _shape(refs: list[Ref | None], number: int, tensors: Mapping[str, Tensor]) -> tuple[int, ...]:
    ref = refs[number] if number < len(refs) else None
    if ref is None:
        return ()
    shape = tensors[ref.tensor].shape
    return tuple(shape[axis] for axis in ref.perm) if ref.perm else shape


def _entries(use: Use, ref: Ref, node: Node) -> dict[str, Any]:
    axes = use.axes
    if axes is not None and ref.perm is not None:
        axes = "".join(axes[ref.perm.index(axis)] for axis in range(len(axes)))
    group = node.attributes.get("group", 1)
    more = {GROUPS: group} if use.role == "kernel" and "conv" in use.kind and group != 1 else {}
    return {**describe(use.kind, use.role, axes, use.gates), **more}


def _conv(weight: int, bias: int) -> Callable[[Node, Shape], Iterator[Use]]:
    def rule(node: Node, shape: Shape) -> Iterator[Use]:
        kernel, group = shape(weight), node.attributes.get("group", 1)
        spatial = _KERNEL.get(len(kernel) - 2)
        kind = "depthwise-conv" if group != 1 and kernel[1:2] == (1,) else "conv"
        if spatial:
            yield Use(weight, kind, "kernel", ("oi" if kind == "conv" else "o1") + spatial)
        yield Use(bias, kind, "bias")

    return rule


def _conv_transpose(node: Node, shape: Shape) -> Iterator[Use]:
    spatial = _KERNEL.get(len(shape(1)) - 2)
    if spatial:
        yield Use(1, "conv-transpose", "kernel", "io" + spatial)
    yield Use(2, "conv-transpose", "bias")


def _gemm(node: Node, shape: Shape) -> Iterator[Use]:
    if shape(0) or len(shape(1)) != 2:
        return
    yield Use(1, "dense", "kernel", "oi" if node.attributes.get("transB", 0) else "io")
    if len(shape(2)) == 1:
        yield Use(2, "dense", "bias")


def _product(weight: int) -> Callable[[Node, Shape], Iterator[Use]]:
    def rule(node: Node, shape: Shape) -> Iterator[Use]:
        if not shape(0) and len(shape(weight)) == 2:
            yield Use(weight, "dense", "kernel", "io")

    return rule


def _bias(node: Node, shape: Shape) -> Iterator[Use]:
    for number in (0, 1):
        if len(shape(number)) == 1:
            yield Use(number, "dense", "bias")


def _recurrent(kind: str, gates: str, axes: str = "noi") -> Callable[[Node, Shape], Iterator[Use]]:
    order = gates or None

    def rule(node: Node, shape: Shape) -> Iterator[Use]:
        yield Use(1, kind, "kernel", axes, order)
        yield Use(2, kind, "recurrent-kernel", axes, order)
        yield Use(3, kind, "bias", "no", gates * 2 or None)  # that of the input, then that of the recurrence
        yield Use(7, kind, "other")

    return rule


def _norm(kind: str, *roles: str, first: int = 1) -> Callable[[Node, Shape], Iterator[Use]]:
    def rule(node: Node, shape: Shape) -> Iterator[Use]:
        for number, role in enumerate(roles, first):
            yield Use(number, kind, role)

    return rule


def _gather(node: Node, shape: Shape) -> Iterator[Use]:
    if len(shape(0)) == 2 and node.attributes.get("axis", 0) == 0 and not shape(1):
        yield Use(0, "embedding", "table")


_SCALED = _norm("norm", "scale", "offset")
_RULES: dict[str, Callable[[Node, Shape], Iterator[Use]]] = {
    "Conv": _conv(1, 2), "FusedConv": _conv(1, 2), "ConvInteger": _conv(1, 99), "QLinearConv": _conv(3, 8),
    "ConvTranspose": _conv_transpose, "Gemm": _gemm, "MatMul": _product(1), "MatMulInteger": _product(1),
    "FusedMatMul": _product(1), "DynamicQuantizeMatMul": _product(1), "QLinearMatMul": _product(3),
    "LSTM": _recurrent("lstm", "iofc"), "GRU": _recurrent("gru", "zrn"), "RNN": _recurrent("rnn", ""),
    "DynamicQuantizeLSTM": _recurrent("lstm", "iofc", "nio"),
    "BatchNormalization": _norm("batch-norm", "scale", "offset", "mean", "variance"),
    "LayerNormalization": _SCALED, "InstanceNormalization": _SCALED, "GroupNormalization": _SCALED,
    "RMSNormalization": _SCALED, "SimplifiedLayerNormalization": _SCALED,
    "SkipLayerNormalization": _norm("norm", "scale", "offset", first=2), "Gather": _gather,
}  # fmt: skip
