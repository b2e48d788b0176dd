"""Multiplying with a weight as it is stored: quantized blocks stay integers and scales, floats keep their dtype.

A matrix is stored turned, ``[in, out]``, which is how `DequantizeLinear` and `MatMul` become one kernel in ONNX
Runtime. Levels of 8 bits go as two of 4 (``16 * high + low``, exactly): its 4-bit kernels multiply in float32 quickly,
its 8-bit one does not.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from modelglot.core.dtype import DTYPES
from modelglot.core.encoding import BLOCKS, Blocks, plain_encoding
from modelglot.core.errors import InvalidFileError, UnsupportedError
from modelglot.core.forms import FORMS, Form, Numbers, each
from modelglot.core.tensor import Derived, Tensor
from modelglot.core.views import arrange
from modelglot.graphs.language.net import Net, Value

PLAIN, TURNED, ROWS, EXPERTS, LEFT = "plain", "turned", "rows", "experts", "left"
_AXES = {TURNED: 2, ROWS: 2, EXPERTS: 3}


@dataclass(slots=True)
class Weights:
    """The tensors of a GGUF model as parts of a graph."""

    net: Net
    tensors: dict[str, Tensor]
    stored: dict[str, str] = field(default_factory=dict)  # how each tensor lies in the graph: one of the ways below
    sums: dict[tuple[int, int], Value] = field(default_factory=dict)  # of groups of an input, by value and group

    def has(self, name: str) -> bool:
        return name in self.tensors

    def take(self, name: str, how: str = TURNED) -> Tensor:
        """Raises InvalidFileError where the model has no such tensor, or one with other axes."""
        if name not in self.tensors:
            raise InvalidFileError(f"the graph needs `{name}`, which the model lacks", hint="is the file whole?")
        if how in _AXES and len(self.tensors[name].shape) != _AXES[how]:
            raise InvalidFileError(f"{list(self.tensors[name].shape)} is not the shape of a matrix", tensor=name)
        if self.stored.get(name) not in (
            ROWS,
            PLAIN,
        ):  # an embedding that is the output as well comes back from its rows
            self.stored[name] = how
        return self.tensors[name]

    def vector(self, name: str) -> Value:
        """Values of a norm, a bias, positions: in float32."""
        return floats(self.net, self.take(name, PLAIN))

    def row(self, x: Value, name: str) -> Value:
        """``x [b, s, in]`` with a matrix that has one row, which may be stored as a vector: ``[b, s, 1]``."""
        made = self.net.op("Mul", x, self.vector(name))
        return self.net.op("ReduceSum", made, self.net.ints(-1), keepdims=1)

    def multiply(self, x: Value, name: str) -> Value:
        """``x [..., in]`` with the matrix ``name.weight [out, in]``, plus ``name.bias`` where there is one."""
        made = self.matrix(x, self.take(f"{name}.weight"))
        return self.net.op("Add", made, self.vector(f"{name}.bias")) if self.has(f"{name}.bias") else made

    def matrix(self, x: Value, weight: Tensor) -> Value:
        if isinstance(weight.encoding, Blocks):
            return self._blocks(x, weight, form_of(weight))
        return self.net.op("MatMul", x, floats(self.net, turned(weight)))

    def _blocks(self, x: Value, weight: Tensor, form: Form) -> Value:
        net = self.net
        scale = _numbers(net, weight, form.scale, form.group)
        if form.levels[1] == "4":
            made = net.op("MatMul", x, _dequantized(net, weight, "levels", form.levels, scale, form.group))
        else:
            larger = net.op("Mul", scale, net.number(16.0))
            high = _dequantized(net, weight, "high", f"{form.levels[0]}4", larger, form.group)
            low = _dequantized(net, weight, "low", "u4", scale, form.group)
            made = net.op("Add", net.op("MatMul", x, high), net.op("MatMul", x, low))
        if form.minimum is None:
            return made
        minimum = _numbers(net, weight, form.minimum, form.group)
        return net.op("Add", made, net.op("MatMul", self._sums(x, form.group), minimum))

    def _sums(self, x: Value, group: int) -> Value:
        """Of every ``group`` numbers of the last axis: what a minimum that all of them share is multiplied with."""
        key = (id(x), group)
        if key not in self.sums:
            grouped = self.net.op("Reshape", x, self.net.ints(0, 0, -1, group))
            self.sums[key] = self.net.op("ReduceSum", grouped, self.net.ints(-1), keepdims=0)
        return self.sums[key]

    def rows(self, ids: Value, name: str) -> Value:
        """Rows ``ids [b, s]`` of ``name``, as float32 ``[b, s, width]``."""
        net, weight = self.net, self.take(name, ROWS)
        if not isinstance(weight.encoding, Blocks):
            return net.cast(net.op("Gather", net.weight(weight), ids))
        form, width = form_of(weight), weight.shape[-1]
        levels = net.op("Gather", net.weight(_plane(weight, "levels", f"{form.levels[0]}8", width, False)), ids)
        scale = _numbers(net, weight, form.scale, form.group, ids)
        made = net.op("DequantizeLinear", levels, scale, axis=2, block_size=form.group)
        if form.minimum is None:
            return made
        minimum = _numbers(net, weight, form.minimum, form.group, ids)
        grouped = net.op("Reshape", made, net.ints(0, 0, -1, form.group))
        moved = net.op("Add", grouped, net.op("Unsqueeze", minimum, net.ints(-1)))
        return net.op("Reshape", moved, net.ints(0, 0, width))


def form_of(weight: Tensor) -> Form:
    kind = weight.encoding.name
    if kind not in FORMS:
        raise UnsupportedError(
            f"no ONNX form for `{kind}` blocks", tensor=weight.name, hint="decode with `--dtype f32`"
        )
    return FORMS[kind]


def floats(net: Net, tensor: Tensor) -> Value:
    """A plain tensor in its own dtype, cast to float32 in the graph."""
    value = net.weight(tensor)
    return value if tensor.dtype.name == "f32" else net.cast(value)


def turned(weight: Tensor) -> Tensor:
    """``[out, in]`` as ``[in, out]``."""
    out, width = weight.shape
    return arrange(weight, (width, out), [(width, 1), (out, width)])


def _dequantized(net: Net, weight: Tensor, plane: str, dtype: str, scale: Value, group: int) -> Value:
    levels = net.weight(_plane(weight, plane, dtype, weight.shape[-1], True))
    return net.op("DequantizeLinear", levels, scale, axis=0, block_size=group)


def _plane(weight: Tensor, plane: str, dtype: str, size: int, turn: bool) -> Tensor:
    """``[size, out]`` where it is turned, else ``[out, size]``; named ``blk.0.attn_q.weight.levels``."""
    count = weight.shape[0]
    params = {"from": weight.encoding.name, "plane": plane, "to": dtype, "turned": turn, "width": weight.shape[-1]}
    shape = (size, count) if turn else (count, size)
    place = weight.name if turn else f"{weight.name}.rows"
    return Tensor(f"{place}.{plane}", DTYPES[dtype], shape, Derived("planes", (weight,), params),
                  plain_encoding(DTYPES[dtype]))  # fmt: skip


def _numbers(net: Net, weight: Tensor, numbers: Numbers, group: int, ids: Value | None = None) -> Value:
    """Scales or minimums, float32: ``[in / group, out]``, or those of the rows ``ids`` as ``[b, s, in / group]``."""
    key = (weight.name, numbers.planes[0][0], id(ids) if ids is not None else 0)
    if key not in net.values:
        net.values[key] = _product(net, weight, numbers, group, ids)
    return net.values[key]


def _product(net: Net, weight: Tensor, numbers: Numbers, group: int, ids: Value | None) -> Value:
    width, parts = weight.shape[-1], []
    for (name, dtype), size in zip(numbers.planes, each(weight.encoding.name, numbers), strict=True):
        value = net.weight(_plane(weight, name, dtype, width // size, ids is None))
        value = net.op("Gather", value, ids) if ids is not None else value
        parts.append(_looked_up(net, value, numbers.table) if numbers.table else net.cast(value))
    made = parts[0]
    if len(parts) > 1:
        inside = BLOCKS[weight.encoding.name].elements // group
        split = (-1, 1, weight.shape[0]) if ids is None else (0, 0, -1, 1)
        fine = (-1, inside, weight.shape[0]) if ids is None else (0, 0, -1, inside)
        whole = (-1, weight.shape[0]) if ids is None else (0, 0, width // group)
        large, small = net.op("Reshape", made, net.ints(*split)), net.op("Reshape", parts[1], net.ints(*fine))
        made = net.op("Reshape", net.op("Mul", large, small), net.ints(*whole))
    return net.op("Neg", made) if numbers.sign < 0 else made


def _looked_up(net: Net, codes: Value, table: str) -> Value:
    from modelglot.kernels.planes import TABLES

    return net.op("Gather", net.constant("f32", TABLES[table]().tolist()), net.cast(codes, "i32"))
