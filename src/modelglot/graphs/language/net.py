"""A graph that grows: nodes by operator, small constants, and weights as tensors that the engine will move."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from modelglot.core.tensor import Tensor
from modelglot.graphs.builder import onnx_ir

Value = Any  # an `onnx_ir.Value`
OPSET = 23  # RMSNormalization, RotaryEmbedding, Attention
_IR_VERSION = 11  # goes with it
_TYPES = {"f32": "FLOAT", "f16": "FLOAT16", "bf16": "BFLOAT16", "i64": "INT64", "i4": "INT4", "u4": "UINT4",
          "i8": "INT8", "u8": "UINT8", "i32": "INT32", "f64": "DOUBLE"}  # fmt: skip


@dataclass(slots=True)
class Net:
    """Everything is named after the place it is made at: ``blk.0.attn/MatMul_3``."""

    nodes: list[Any] = field(default_factory=list)
    inputs: list[Value] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    values: dict[Any, Value] = field(default_factory=dict)  # constants and weights that were met, by what they are
    constants: list[Value] = field(default_factory=list)
    place: str = ""

    @contextmanager
    def at(self, place: str) -> Iterator[None]:
        before, self.place = self.place, f"{self.place}{place}."
        try:
            yield
        finally:
            self.place = before

    def op(self, kind: str, *inputs: Value | None, **attributes: Any) -> Value:
        """The first output of a new node of the standard domain."""
        return self.ops(kind, 1, *inputs, **attributes)[0]

    def ops(self, kind: str, count: int, *inputs: Value | None, **attributes: Any) -> Sequence[Value]:
        name = f"{self.place}{kind}_{len(self.nodes)}"
        node = onnx_ir().node(kind, list(inputs), attributes or None, num_outputs=count, name=name)
        for number, value in enumerate(node.outputs):
            value.name = name if count == 1 else f"{name}.{number}"
        self.nodes.append(node)
        made: Sequence[Value] = node.outputs
        return made

    def ints(self, *numbers: int) -> Value:
        """A constant [n] of i64."""
        return self.constant("i64", list(numbers))

    def number(self, value: float) -> Value:
        """A constant of f32 without axes."""
        return self.constant("f32", value)

    def constant(self, dtype: str, value: Any) -> Value:
        key = (dtype, str(value))
        if key not in self.values:
            ir = onnx_ir()
            name = f"constant_{len(self.constants)}"
            tensor = ir.tensor(value, getattr(ir.DataType, _TYPES[dtype]), name=name)
            made = ir.val(name, tensor.dtype, list(tensor.shape), const_value=tensor)
            self.constants.append(made)
            self.values[key] = made
        return self.values[key]

    def weight(self, tensor: Tensor) -> Value:
        """An initializer of that name whose bytes the engine moves."""
        if tensor.name not in self.tensors:
            ir = onnx_ir()
            self.tensors[tensor.name] = tensor
            kind = getattr(ir.DataType, _TYPES[tensor.dtype.name])
            self.values[tensor.name] = ir.val(tensor.name, kind, list(tensor.shape))
        return self.values[tensor.name]

    def input(self, name: str, dtype: str, *shape: int | str) -> Value:
        made = onnx_ir().val(name, getattr(onnx_ir().DataType, _TYPES[dtype]), list(shape))
        self.inputs.append(made)
        return made

    def output(self, value: Value, name: str, dtype: str, *shape: int | str) -> None:
        ir = onnx_ir()
        value.name = name
        value.dtype, value.shape = getattr(ir.DataType, _TYPES[dtype]), ir.Shape(list(shape))
        self.outputs.append(value)

    def cast(self, value: Value, dtype: str = "f32") -> Value:
        return self.op("Cast", value, to=int(getattr(onnx_ir().DataType, _TYPES[dtype])))

    def model(self, name: str) -> Any:
        """The `onnx_ir.Model`, without the weights."""
        ir = onnx_ir()
        graph = ir.Graph(
            self.inputs,
            self.outputs,
            nodes=self.nodes,
            initializers=self.constants,
            opset_imports={"": OPSET},
            name=name,
        )
        return ir.Model(graph, ir_version=_IR_VERSION, producer_name="modelglot")
