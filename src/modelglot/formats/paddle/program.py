"""The program of a Paddle model (``ProgramDesc``): its variables, its operators, and what they say of the weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from modelglot.containers.protobuf import VARINT, Field, varints
from modelglot.core.errors import InvalidFileError
from modelglot.core.graph import Graph, Port, Signature, counted
from modelglot.core.layer import GROUPS, Use, agreed, describe
from modelglot.core.limits import Limits

_TYPES = {
    0: "bool", 1: "i16", 2: "i32", 3: "i64", 4: "f16", 5: "f32", 6: "f64", 20: "u8", 21: "i8", 22: "bf16", 23: "c64",
    24: "c128", 32: "f8_e4m3", 33: "f8_e5m2",
}  # fmt: skip
_LOD_TENSOR = 7  # of the types of variables the one with numbers; others feed, fetch and hold scopes
_KERNEL = {1: "w", 2: "hw", 3: "dhw"}


def type_name(number: int) -> str | None:
    return _TYPES.get(number)


@dataclass(slots=True)
class Variable:
    name: str = ""
    kind: int = 0
    persistable: bool = False
    dtype: str = "unknown"
    shape: tuple[int, ...] = ()

    @property
    def is_weight(self) -> bool:
        return self.persistable and self.kind == _LOD_TENSOR


@dataclass(slots=True)
class Operator:
    """Inputs and outputs by parameter; ``attributes`` are those that are numbers."""

    type: str = ""
    inputs: dict[str, list[str]] = field(default_factory=dict)
    outputs: dict[str, list[str]] = field(default_factory=dict)
    attributes: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Program:
    """Variables and operators of all blocks; weights are those of the first."""

    variables: dict[str, Variable] = field(default_factory=dict)
    operators: list[Operator] = field(default_factory=list)

    @property
    def weights(self) -> list[str]:
        """In the order in which they are saved together."""
        return sorted(name for name, variable in self.variables.items() if variable.is_weight)

    def graph(self) -> Graph:
        inputs, outputs = list[str](), list[str]()
        for op in self.operators:
            inputs += op.outputs.get("Out", []) if op.type == "feed" else []
            outputs += op.inputs.get("X", []) if op.type == "fetch" else []
        operators = Counter(op.type for op in self.operators if op.type not in ("feed", "fetch"))
        signature = Signature("main", tuple(map(self._port, inputs)), tuple(map(self._port, outputs)))
        return Graph("Paddle", (signature,), counted(operators))

    def _port(self, name: str) -> Port:
        found = self.variables.get(name, Variable(name))
        return Port(name, found.dtype, tuple(None if size < 0 else size for size in found.shape))


def parse(parts: Iterator[Field], limits: Limits) -> Program:
    """Raises InvalidFileError where there is no block."""
    made, blocks = Program(), 0
    for part in parts:
        if part.number != 1:
            continue
        for inner in part.fields():
            if inner.number == 3 and blocks == 0:
                limits.check("tensors", len(made.variables) + 1, "variables", offset=inner.at)
                variable = _variable(inner)
                limits.check("name", len(variable.name), "the name of a variable", offset=inner.at)
                made.variables[variable.name] = variable
            elif inner.number == 4:
                limits.check("tree_values", len(made.operators) + 1, "operators", offset=inner.at)
                made.operators.append(_operator(inner))
        blocks += 1
    if not blocks:
        raise InvalidFileError("there is no block in this program", hint="is it a .pdmodel, and whole?")
    return made


def _variable(whole: Field) -> Variable:
    made = Variable()
    for part in whole.fields():
        if part.number == 1:
            made.name = part.text
        elif part.number == 2:
            for inner in part.fields():
                if inner.number == 1:
                    made.kind = inner.number_value
                elif inner.number == 3:
                    for tensor in inner.fields():
                        if tensor.number == 1:
                            number, made.shape = description(tensor)
                            made.dtype = type_name(number) or f"type {number}"
        elif part.number == 3:
            made.persistable = bool(part.number_value)
    return made


def description(whole: Field) -> tuple[int, tuple[int, ...]]:
    """The element type and the sizes of a ``TensorDesc``."""
    number, sizes = 0, list[int]()
    for part in whole.fields():
        if part.number == 1:
            number = part.number_value
        elif part.number == 2:
            sizes += [part.signed] if part.wire == VARINT else varints(part.bytes, part.at)
            if len(sizes) > 64:
                raise InvalidFileError("a shape of more than 64 axes", offset=whole.at)
    return number, tuple(sizes)


def _operator(whole: Field) -> Operator:
    made = Operator()
    for part in whole.fields():
        if part.number in (1, 2):
            texts = [(p.number, p.text) for p in part.fields() if p.number in (1, 2)]
            names = [text for number, text in texts if number == 2]
            key = next((text for number, text in texts if number == 1), "")
            (made.inputs if part.number == 1 else made.outputs)[key] = names
        elif part.number == 3:
            made.type = part.text
        elif part.number == 4:
            name, value = "", None
            for inner in part.fields():
                if inner.number == 1:
                    name = inner.text
                elif inner.number in (3, 10):  # an integer, a truth value
                    value = inner.signed
            if value is not None:
                made.attributes[name] = value
    return made


def described(program: Program) -> dict[str, dict[str, Any]]:
    """What the operators say of the weights, by name."""
    said: dict[str, list[dict[str, Any]]] = {}
    products: dict[str, str] = {}  # results of convolutions and products: what is added to them is a bias
    for op in program.operators:
        rule = _RULES.get(op.type, _nothing)
        uses = list(_added(op, products) if op.type == "elementwise_add" else rule(op, program))
        for parameter, use in uses:
            for name in op.inputs.get(parameter, []):
                if name in program.variables and program.variables[name].is_weight:
                    groups = op.attributes.get("groups", 1)
                    more = {GROUPS: groups} if use.role == "kernel" and groups > 1 else {}
                    said.setdefault(name, []).append(describe(use.kind, use.role, use.axes, use.gates) | more)
                    if use.role == "kernel":
                        results = op.outputs.get("Output") or op.outputs.get("Out") or []
                        products.update(dict.fromkeys(results, use.kind))
    return agreed(said)


Uses = Iterator[tuple[str, Use]]


def _nothing(_: Operator, __: Program) -> Uses:
    return iter(())


def _added(op: Operator, products: dict[str, str]) -> Uses:
    kind = next((products[name] for name in op.inputs.get("X", []) if name in products), None)
    if kind is not None:
        yield "Y", Use(0, kind, "bias")


def _shape(op: Operator, parameter: str, program: Program) -> tuple[int, ...]:
    names = op.inputs.get(parameter) or [""]
    return program.variables.get(names[0], Variable()).shape


def _convolution(op: Operator, program: Program) -> Uses:
    shape = _shape(op, "Filter", program)
    spatial = _KERNEL.get(len(shape) - 2)
    depthwise = op.attributes.get("groups", 1) > 1 and shape[1:2] == (1,)
    if spatial:
        kind, axes = ("depthwise-conv", "o1") if depthwise else ("conv", "oi")
        yield "Filter", Use(0, kind, "kernel", axes + spatial)
    yield "Bias", Use(0, "depthwise-conv" if depthwise else "conv", "bias")


def _transposed(op: Operator, program: Program) -> Uses:
    spatial = _KERNEL.get(len(_shape(op, "Filter", program)) - 2)
    if spatial:
        yield "Filter", Use(0, "conv-transpose", "kernel", "io" + spatial)
    yield "Bias", Use(0, "conv-transpose", "bias")


def _product(op: Operator, program: Program) -> Uses:
    if len(_shape(op, "Y", program)) == 2:
        turned = op.attributes.get("trans_y") or op.attributes.get("transpose_Y")
        yield "Y", Use(0, "dense", "kernel", "oi" if turned else "io")


def _fixed(*uses: tuple[str, str, str]) -> Callable[[Operator, Program], Uses]:
    return lambda _, __: ((parameter, Use(0, kind, role)) for parameter, kind, role in uses)


_RULES: dict[str, Callable[[Operator, Program], Uses]] = {
    "conv2d": _convolution, "conv3d": _convolution, "depthwise_conv2d": _convolution,
    "conv2d_transpose": _transposed, "conv3d_transpose": _transposed, "depthwise_conv2d_transpose": _transposed,
    "mul": _product, "matmul": _product, "matmul_v2": _product,
    "batch_norm": _fixed(("Scale", "batch-norm", "scale"), ("Bias", "batch-norm", "offset"),
                         ("Mean", "batch-norm", "mean"), ("Variance", "batch-norm", "variance")),
    "layer_norm": _fixed(("Scale", "norm", "scale"), ("Bias", "norm", "offset")),
    "instance_norm": _fixed(("Scale", "norm", "scale"), ("Bias", "norm", "offset")),
    "group_norm": _fixed(("Scale", "norm", "scale"), ("Bias", "norm", "offset")),
    "lookup_table": _fixed(("W", "embedding", "table")), "lookup_table_v2": _fixed(("W", "embedding", "table")),
}  # fmt: skip
