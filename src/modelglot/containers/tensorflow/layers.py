"""Which layer a constant or variable of a graph belongs to, told from the operator that uses it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from modelglot.containers.tensorflow.graph import GraphNode, source_of
from modelglot.core.layer import describe

# Operators that hand a value on as it is.
_THROUGH = ("Identity", "ReadVariableOp", "Enter", "RefEnter", "Switch", "StopGradient", "Cast", "Snapshot")
_NORMS = ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
_NORM_ROLES = {1: "scale", 2: "offset", 3: "mean", 4: "variance"}
_KERNELS = {
    "Conv2D": ("conv", "hwio"), "Conv3D": ("conv", "dhwio"), "DepthwiseConv2dNative": ("depthwise-conv", "hwim"),
    "Conv2DBackpropInput": ("conv-transpose", "hwoi"), "Conv3DBackpropInputV2": ("conv-transpose", "dhwoi"),
}  # fmt: skip
_PRODUCTS = ("MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3")
_ADDS = ("BiasAdd", "Add", "AddV2")
_GATHERS = ("Gather", "GatherV2", "ResourceGather")


def layers(nodes: Iterable[GraphNode], sources: Iterable[str]) -> dict[str, dict[str, Any]]:
    """What `describe` says of each of ``sources`` (names of nodes); those whose users disagree are left out.

    Nodes of gradients are passed over: they use a kernel turned round.
    """
    by_name = {n.name: n for n in nodes}
    users: dict[str, list[tuple[GraphNode, int]]] = {}
    for node in by_name.values():
        if "gradients" not in node.name.split("/")[0] and "_grad/" not in node.name:
            for place, value in enumerate(node.inputs):
                if not value.startswith("^"):
                    users.setdefault(source_of(value), []).append((node, place))
    found = {}
    for name in sources:
        said = [s for s in (_said(n, place, by_name) for n, place in _uses(name, users)) if s]
        if said and all(s == said[0] for s in said):
            found[name] = said[0]
    return found


def _uses(name: str, users: Mapping[str, list[tuple[GraphNode, int]]]) -> list[tuple[GraphNode, int]]:
    """The operators that get the value, through those that only hand it on."""
    found, todo, seen = list[tuple[GraphNode, int]](), [name], {name}
    while todo and len(seen) < 64:
        for node, place in users.get(todo.pop(), ()):
            if node.op in _THROUGH and place == 0:
                if node.name not in seen:
                    seen.add(node.name)
                    todo.append(node.name)
            else:
                found.append((node, place))
    return found


def _said(node: GraphNode, place: int, by_name: Mapping[str, GraphNode]) -> dict[str, Any] | None:
    if node.op in _KERNELS and place == 1:
        kind, axes = _KERNELS[node.op]
        return describe(kind, "kernel", axes)
    if node.op in _PRODUCTS and place == 1:
        turned = node.flag("transpose_b") or node.flag("adj_y")
        return describe("dense", "kernel", "oi" if turned else "io")
    if node.op in _NORMS and place in _NORM_ROLES:
        return describe("batch-norm", _NORM_ROLES[place])
    if node.op in _GATHERS and place == 0:
        return describe("embedding", "table")
    if node.op in _ADDS and place == 1:
        made = _producer(node.inputs[0], by_name)
        if made in _KERNELS or made in _PRODUCTS:
            return describe(_KERNELS[made][0] if made in _KERNELS else "dense", "bias")
    return None


def _producer(name: str, by_name: Mapping[str, GraphNode]) -> str:
    """The operator that a value comes from, past those that only hand it on."""
    for _ in range(8):
        node = by_name.get(source_of(name))
        if node is None:
            return ""
        if node.op not in _THROUGH or not node.inputs:
            return node.op
        name = node.inputs[0]
    return ""
