"""ML programs of Core ML: constants with their values in the message or in a weight file, and operators that use them.

Values that lie in a weight file are tensors, and so are floats of one axis or more that lie in the program itself;
other values there (strides, paddings, names, single numbers) are parameters of operators.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from modelglot.containers.protobuf import Field
from modelglot.containers.protobuf_data import decoded, fixed, numbers
from modelglot.core.dtype import DTYPES
from modelglot.core.encoding import nbytes, plain_encoding
from modelglot.core.errors import CannotOpenError, InvalidFileError, UnsupportedError, located, printable
from modelglot.core.format import FileSet
from modelglot.core.limits import Limits
from modelglot.core.tensor import Data, Extent, Missing, Stored, Tensor
from modelglot.formats.coreml.blob import blob, check_header
from modelglot.formats.coreml.network import Gathered
from modelglot.formats.coreml.operators import Operation, described

_TYPES = {
    1: "bool", 10: "f16", 11: "f32", 12: "f64", 13: "bf16", 21: "i8", 22: "i16", 23: "i32", 24: "i64", 25: "i4",
    31: "u8", 32: "u16", 33: "u32", 34: "u64", 35: "u4", 36: "u2", 37: "u1", 40: "f8_e4m3", 41: "f8_e5m2",
}  # fmt: skip
_ODD = {38: 6, 39: 3}  # bits of unsigned types that are no dtype of ours
_STRING = 2
_FUNCTIONS, _BLOCKS, _OPERATIONS = 2, 3, 3  # of Program, Function, Block
_WHERE = "@model_path/"


class Kind(NamedTuple):
    """A tensor type: ``shape`` is None where an axis is open."""

    number: int
    shape: tuple[int, ...] | None


@dataclass(slots=True)
class Program:
    """``folder`` is the model's, relative to the files; ``number`` its file's."""

    files: FileSet
    limits: Limits
    number: int
    folder: str
    found: Gathered
    said: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    checked: set[str] = field(default_factory=set)
    operations: int = 0

    def walk(self, whole: Field, prefix: str) -> None:
        functions = dict(_entries(whole, _FUNCTIONS))
        for name, function in functions.items():
            label = "" if name == "main" or len(functions) == 1 else f"{name}."
            self.found.functions += [name] if label else []
            for _, block in _entries(function, _BLOCKS):
                self._block(block, prefix + label, {}, 0)

    def _block(self, whole: Field, prefix: str, outer: Mapping[str, str], depth: int) -> None:
        """``outer`` names the tensors that are seen from outside, by value."""
        self.limits.check("depth", depth, "blocks inside blocks", offset=whole.at)
        known = dict(outer)
        operations = [self._operation(p, prefix, known, depth) for p in whole.fields() if p.number == _OPERATIONS]
        described(operations, known, self.said)

    def _operation(self, whole: Field, prefix: str, known: dict[str, str], depth: int) -> Operation:
        self.operations += 1
        self.limits.check("tree_values", self.operations, "operators", offset=whole.at)
        made = Operation("", {}, [])
        values: list[tuple[str, Field]] = []
        blocks: list[Field] = []
        for part in whole.fields():
            if part.number == 1:
                made = made._replace(type=part.text)
            elif part.number == 2:
                key, argument = _entry(part)
                self._argument(key, argument, made, values)
            elif part.number == 3:
                made.outputs.append(next((p.text for p in part.fields() if p.number == 1), ""))
            elif part.number == 4:
                blocks.append(part)
            elif part.number == 5:
                key, value = _entry(part)
                if value is not None:
                    values.append((key, value))
        self.found.operators[made.type] += made.type != "const"
        for key, value in values:
            self._value(key, value, made, prefix, known)
        for block in blocks:
            self._block(block, prefix, known, depth + 1)
        return made

    def _argument(self, key: str, whole: Field | None, made: Operation, values: list[tuple[str, Field]]) -> None:
        """Names of values, and values given in place."""
        for binding in whole.fields() if whole else ():
            for part in binding.fields() if binding.number == 1 else ():
                if part.number == 1:
                    made.inputs.setdefault(key, part.text)
                elif part.number == 2:
                    values.append((key, part))

    def _value(self, key: str, whole: Field, made: Operation, prefix: str, known: dict[str, str]) -> None:
        """A value of an operator: that of a constant has the name of its result."""
        output = made.outputs[0] if made.outputs else made.type
        own = made.type == "const" and key == "val"
        value = output if own else f"{output}.{key}"
        name = self.found.free(prefix + value)
        self.limits.check("name", len(name), "the name of a tensor", offset=whole.at)
        self.limits.check("tensors", len(self.found.tensors) + 1, "tensors", offset=whole.at)
        with located(tensor=name):
            tensor = self._tensor(name, whole)
        if tensor is not None:
            self.found.add(name, tensor)
            known[value] = name
            if not own:
                made.inputs.setdefault(key, value)

    def _tensor(self, name: str, whole: Field) -> Tensor | None:
        parts = {part.number: part for part in whole.fields() if part.number in (2, 3, 5)}
        kind = _tensor_type(parts.get(2))
        if kind is None or kind.number == _STRING:
            return None
        if 5 in parts:
            return self._made(name, kind, lambda need: self._outside(parts[5], need))
        floats = _TYPES.get(kind.number, "").startswith(("f", "bf"))
        if 3 not in parts or not floats or not kind.shape:
            return None
        return self._made(name, kind, lambda need: self._inside(parts[3], kind, need))

    def _made(self, name: str, kind: Kind, data: Any) -> Tensor:
        if kind.shape is None:
            raise InvalidFileError("is a constant without a fixed shape")
        if kind.number in _ODD:
            bits = _ODD[kind.number]
            count = nbytes(DTYPES["u8"], plain_encoding(DTYPES["u8"]), kind.shape)
            need = -(-count * bits // 8)
            packed = data(need)
            made = packed if isinstance(packed, Missing) else decoded(
                "bits", packed, need, count, width=bits, order="little")  # fmt: skip
            return Tensor(name, DTYPES["u8"], kind.shape, made, extra={"coreml:bits": bits})
        dtype = DTYPES.get(_TYPES.get(kind.number, ""))
        if dtype is None:
            raise UnsupportedError(f"element type {kind.number} of ML programs")
        encoding = plain_encoding(dtype)
        return Tensor(name, dtype, kind.shape, data(nbytes(dtype, encoding, kind.shape)), encoding)

    def _outside(self, whole: Field, need: int) -> Data:
        parts = {part.number: part for part in whole.fields()}
        path = parts[1].text if 1 in parts else ""
        name = f"{self.folder}{path.removeprefix(_WHERE)}"
        try:
            source = self.files.open(name)
        except CannotOpenError:
            return Missing(f"the file {printable(path, code=True)} with its data is not there")
        if name not in self.checked:
            check_header(source)
            self.checked.add(name)
        place = blob(source, parts[2].number_value if 2 in parts else 0)
        if place.length != need:
            raise InvalidFileError(
                f"has {place.length:,} bytes in the weight file, and its type and shape need {need:,}",
                path=source.path, offset=place.offset,
            )  # fmt: skip
        return Stored((Extent(self.files.index(name), place.offset, need),))

    def _inside(self, whole: Field, kind: Kind, need: int) -> Data:
        """``ImmediateValue`` > ``TensorValue`` > one of the lists of values."""
        for tensor in whole.fields():
            for listed in tensor.fields() if tensor.number == 1 else ():
                parts = [part for part in listed.fields() if part.number == 1]
                if listed.number in (1, 6, 7):
                    return fixed(parts, need, self.number, self.limits)
                if listed.number in (2, 3, 5) and parts:
                    return numbers(parts, need, DTYPES[_TYPES[kind.number]].itemsize, self.number, self.limits)
        return fixed([], need, self.number, self.limits)


def _entries(whole: Field, number: int) -> Iterator[tuple[str, Field]]:
    """The entries of a map."""
    for part in whole.fields():
        if part.number == number:
            key, value = _entry(part)
            if value is not None:
                yield key, value


def _entry(whole: Field) -> tuple[str, Field | None]:
    parts = {part.number: part for part in whole.fields() if part.number in (1, 2)}
    return parts[1].text if 1 in parts else "", parts.get(2)


def _tensor_type(whole: Field | None) -> Kind | None:
    """``ValueType`` > ``TensorType``."""
    for part in whole.fields() if whole else ():
        if part.number != 1:
            continue
        number, shape, fixed_ = 0, list[int](), True
        for item in part.fields():
            if item.number == 1:
                number = item.number_value
            elif item.number == 3:
                size = _size(item)
                fixed_ = fixed_ and size is not None
                shape.append(size or 0)
        if len(shape) > 64:
            raise InvalidFileError(f"{len(shape):,} axes", offset=part.at)
        return Kind(number, tuple(shape) if fixed_ else None)
    return None


def _size(dimension: Field) -> int | None:
    for part in dimension.fields():
        if part.number == 1:
            return next((p.number_value for p in part.fields() if p.number == 1), 0)
    return None
