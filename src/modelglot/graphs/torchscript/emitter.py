"""Nodes of the graph that is made: emitted, their types inferred, small constants computed at once.

Values are ``onnx_ir.Value`` with a type and a shape of known rank. A size is an int, the name of one that is only known
when the graph runs, or None.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import Any

import numpy as np

from modelglot.core.errors import LimitError, UnsupportedError, printable
from modelglot.core.tensor import Tensor
from modelglot.formats.onnx.types import NUMBERS
from modelglot.graphs.builder import onnx_ir
from modelglot.graphs.torchscript import dtypes

OPSET, IR_VERSION = 20, 9
_FOLDED = 4096  # elements of a constant that is computed at once
_MOST_NODES = 50_000
_NEVER = (
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
    "Multinomial",
    "Bernoulli",
    "If",
    "Loop",
)
_CONSTANT = re.compile(r"constants\.\d+").fullmatch
Dim = int | str | None


class Emitter:
    """``read`` gives the bytes of a small tensor of the archive."""

    def __init__(self, read: Callable[[Tensor], bytes | bytearray]) -> None:
        self.ir = onnx_ir()
        self.read = read
        self.nodes: list[Any] = []
        self.count = 0
        self.scope = ""  # the module whose code is followed, for the names of nodes
        self.weights: dict[str, Any] = {}  # values by the name of their tensor
        self.tensors: dict[str, Tensor] = {}
        self.constants: dict[tuple[int, tuple[int, ...], bytes], Any] = {}
        self.taken: set[Any] = set()
        self.wrapped: set[int] = set()  # identities of constants that count as numbers where types are promoted

    # values

    def value(self, name: str, dtype: int, dims: Sequence[Dim]) -> Any:
        """A value that no node makes: an input, a weight."""
        ir = self.ir
        return ir.Value(name=name, shape=ir.Shape(dims), type=ir.TensorType(ir.DataType(dtype)))

    def weight(self, tensor: Tensor) -> Any:
        """The value that stands for a tensor of the archive, or one derived of such."""
        if tensor.name not in self.weights:
            if tensor.type_name not in NUMBERS:
                raise UnsupportedError(f"ONNX has no type `{tensor.type_name}`", tensor=tensor.name)
            self.weights[tensor.name] = self.value(tensor.name, NUMBERS[tensor.dtype.name], tensor.shape)
            self.tensors[tensor.name] = tensor
        return self.weights[tensor.name]

    def tensor_of(self, value: Any) -> Tensor | None:
        """The tensor of the archive that a value is."""
        name = str(value.name)
        return self.tensors.get(name) if self.weights.get(name) is value else None

    def constant(self, array: Any, dtype: int | None = None) -> Any:
        made = np.asarray(array, dtypes.numpy_type(dtype)) if dtype is not None else np.asarray(array)
        number = int(self.ir.DataType.from_numpy(made.dtype))
        key = (number, made.shape, made.tobytes())
        if key not in self.constants:
            name = self.named(f"constant_{len(self.constants)}")
            self.constants[key] = self.ir.Value(name=name, const_value=self.ir.tensor(made, name=name))
            self.constants[key].shape = self.ir.Shape(made.shape)
            self.constants[key].type = self.ir.TensorType(self.ir.DataType(number))
        return self.constants[key]

    def ints(self, numbers: Sequence[int]) -> Any:
        return self.constant(np.array(numbers, np.int64).reshape(len(numbers)))

    def named(self, name: str) -> str:
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return name

    def known(self, value: Any) -> Any:
        """The numpy array of a small value that does not depend on inputs, else None."""
        if value.const_value is not None:
            return value.const_value.numpy()
        tensor = self.tensor_of(value)
        if tensor is None or tensor.numel > _FOLDED or dtypes.name(self.dtype(value)) == "bf16":
            return None
        raw = np.frombuffer(bytes(self.read(tensor)), dtypes.numpy_type(self.dtype(value)))
        return raw.reshape(tensor.shape)

    def dtype(self, value: Any) -> int:
        return int(value.dtype)

    def dims(self, value: Any) -> list[Dim]:
        """Raises UnsupportedError where the rank is unknown."""
        if value.shape is None:
            raise UnsupportedError(f"the rank of `{printable(value.name)}` is not known, and the graph depends on it")
        return [d if isinstance(d, int) else d.value for d in value.shape]

    def rank(self, value: Any) -> int:
        return len(self.dims(value))

    # nodes

    def op(
        self, kind: str, *inputs: Any, outputs: int = 1, dims: Sequence[Dim] | None = None, **attributes: Any
    ) -> Any:
        """The value of a new node, or a list of them. ``dims`` is what is known of the first beyond inference."""
        used = list(inputs)
        while used and used[-1] is None:
            used.pop()
        kept = {k: v for k, v in attributes.items() if v is not None}
        node = self.ir.node(kind, used, kept or None, num_outputs=outputs, version=OPSET)
        self.name(node)
        self._infer(node)
        folded = self._folded(node) if outputs == 1 else None
        if folded is not None:
            return folded
        if dims is not None:
            self.refine(node.outputs[0], dims)
        self.add(node)
        return node.outputs[0] if outputs == 1 else list(node.outputs)

    def name(self, node: Any) -> None:
        self.count += 1
        if self.count > _MOST_NODES:
            raise LimitError(
                f"the code makes more than {_MOST_NODES:,} nodes", hint="loops are unrolled where possible"
            )
        node.name = self.named(
            f"{self.scope}.{node.op_type}_{self.count}" if self.scope else f"{node.op_type}_{self.count}"
        )
        for number, output in enumerate(node.outputs):
            output.name = self.named(node.name + f".{number}" * (len(node.outputs) > 1))

    def add(self, node: Any) -> None:
        self.nodes.append(node)

    def refine(self, value: Any, dims: Sequence[Dim]) -> None:
        """Sizes that inference left open."""
        if value.shape is None or len(value.shape) != len(dims):
            value.shape = self.ir.Shape(dims)
            return
        pairs = zip(self.dims(value), dims, strict=True)
        value.shape = self.ir.Shape([new if old is None or (isinstance(new, int)) else old for old, new in pairs])

    @contextmanager
    def inside(self) -> Iterator[list[Any]]:
        """Nodes that are emitted go into the list, not into the graph around."""
        outer, self.nodes = self.nodes, []
        try:
            yield self.nodes
        finally:
            self.nodes = outer

    def graph(self, name: str, inputs: Sequence[Any], outputs: Sequence[Any], nodes: Sequence[Any]) -> Any:
        """A graph for an attribute."""
        return self.ir.Graph(inputs, outputs, nodes=nodes, name=self.named(name))

    def _is_weight(self, value: Any) -> bool:
        """A tensor with a name that is kept: constants of the code and numbers of modules are not."""
        tensor = self.tensor_of(value)
        return tensor is not None and bool(tensor.shape) and tensor.dtype.kind == "float" and not _CONSTANT(tensor.name)

    def _infer(self, node: Any) -> None:
        import onnx

        types, data = {}, {}
        for value in node.inputs:
            if value is None:
                continue
            types[value.name] = self._type(value)
            if value.const_value is not None and value.const_value.size <= _FOLDED:
                data[value.name] = self.ir.serde.serialize_tensor(value.const_value)
        try:
            schema = onnx.defs.get_schema(node.op_type, OPSET, node.domain)
            found = onnx.shape_inference.infer_node_outputs(
                schema, self.ir.serde.serialize_node(node), types, data,
                opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=IR_VERSION,
            )  # fmt: skip
        except Exception as error:
            text = printable(str(error).replace("\n", " "), limit=300)
            raise UnsupportedError(f"`{node.op_type}` does not fit its inputs: {text}") from None
        for output in node.outputs:
            if output.name in found:
                proto = found[output.name]
                output.type = self.ir.serde.deserialize_type_proto_for_type(proto)
                output.shape = self.ir.serde.deserialize_type_proto_for_shape(proto)

    def _type(self, value: Any) -> Any:
        import onnx

        proto = onnx.TypeProto()
        self.ir.serde.serialize_type_into(proto, value.type)
        if value.shape is not None:
            self.ir.serde.serialize_shape_into(proto, value.shape)
        return proto

    def _folded(self, node: Any) -> Any:
        """The constant that a node of constants makes, where that is small."""
        if node.op_type in _NEVER or (not node.inputs and node.op_type != "Constant"):
            return None
        if any(self._is_weight(v) for v in node.inputs if v is not None):
            return None
        shape = node.outputs[0].shape
        dims = [d for d in shape if isinstance(d, int)] if shape is not None else []
        if shape is None or len(dims) != len(shape) or prod(dims) > _FOLDED:
            return None
        arrays = {v.name: self.known(v) for v in node.inputs if v is not None}
        if any(a is None or a.size > _FOLDED for a in arrays.values()):
            return None
        from onnx.reference import ReferenceEvaluator

        try:
            (made,) = ReferenceEvaluator(self.ir.serde.serialize_node(node)).run(None, arrays)
        except Exception:  # its own limits; the node computes it then
            return None
        made = np.asarray(made)
        return self.constant(made) if made.size <= _FOLDED and made.dtype.kind in "biuf" else None
