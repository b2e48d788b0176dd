"""A node as its rule sees it: inputs as source, attributes as Python values, the version of its operator set."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from modelglot.core.errors import InvalidFileError, UnsupportedError, printable
from modelglot.graphs.pytorch import literals
from modelglot.graphs.pytorch.scope import Scope
from modelglot.graphs.pytorch.values import NUMBER, NUMBERS, Tied, Value

Rule = str | Callable[["Call"], "str | Value | Tied | list[str | Value | None] | None"]


@dataclass(slots=True)
class Call:
    """``call[0]`` is the first input as a tensor. A rule returns an expression, or one for each output."""

    node: Any
    scope: Scope
    version: int
    write: Any = None  # `write_graph`, for nested graphs

    # inputs

    def has(self, number: int) -> bool:
        """An input may be left out: it has no name, or stands behind the last one."""
        return number < len(self.node.inputs) and bool(self.node.inputs[number] and self.node.inputs[number].name)

    def value(self, number: int) -> Value:
        """Raises InvalidFileError where the input is not there."""
        if not self.has(number):
            raise InvalidFileError(f"{self.title} lacks its input {number}")
        return self.scope.find(self.node.inputs[number])

    def __getitem__(self, number: int) -> str:
        return self.scope.tensor(self.value(number))

    def tensor_or(self, number: int, otherwise: str = "None") -> str:
        return self[number] if self.has(number) else otherwise

    @property
    def count(self) -> int:
        return len(self.node.inputs)

    def all(self) -> list[str]:
        return [self[number] for number in range(self.count)]

    def array(self, number: int) -> Any:
        """The numpy array of a constant, else None."""
        return self.value(number).array if self.has(number) else None

    def numbers(self, number: int) -> str:
        return self.scope.numbers(self.value(number))

    def items(self, number: int) -> list[str] | None:
        return self.scope.items(self.value(number)) if self.has(number) else None

    def number(self, number: int) -> str:
        return self.scope.number(self.value(number))

    def ints(self, number: int) -> list[int] | None:
        """The elements of a constant, else None."""
        array = self.array(number)
        return None if array is None else [int(item) for item in array.reshape(-1)]

    def is_python(self, number: int) -> bool:
        return self.has(number) and self.value(number).kind in (NUMBER, NUMBERS)

    def scalar(self, number: int, other: int) -> str:
        """An input as a Python number where it is one that broadcasts with ``other``, else as a tensor.

        A constant of one element with more axes than the other would add axes: it stays a tensor then.
        """
        value = self.value(number)
        if value.kind == NUMBER or value.weight is not None or value.array is None or value.array.size != 1:
            return value.code if value.kind == NUMBER else self.scope.tensor(value)
        rank = self.value(other).rank
        fits = value.array.ndim == 0 or (rank is not None and rank >= value.array.ndim)
        usual = value.dtype in ("float32", "float64", "float16", "bfloat16", "int64", "int32")
        return self.scope.number(value) if fits and usual else self.scope.tensor(value)

    def dtype(self, number: int = 0) -> str | None:
        return self.value(number).dtype if self.has(number) else None

    def rank(self, number: int = 0) -> int | None:
        return self.value(number).rank if self.has(number) else None

    def shape(self, number: int = 0) -> tuple[int | None, ...] | None:
        return self.value(number).shape if self.has(number) else None

    def ranked(self, number: int = 0) -> int:
        """The number of axes, where no rule can do without. Raises UnsupportedError."""
        rank = self.rank(number)
        if rank is None:
            raise self.unsupported("the number of axes of its input is not known")
        return rank

    def element(self, number: int = 0) -> int | None:
        """ONNX's number of the element type."""
        return self.value(number).element if self.has(number) else None

    # attributes

    def _raw(self, name: str) -> Any:
        attribute = self.node.attributes.get(name)
        if attribute is None:
            return None
        if attribute.is_ref() or attribute.value is None:
            raise InvalidFileError(f"{self.title} has no value for `{name}`")
        return list(attribute.value) if isinstance(attribute.value, tuple) else attribute.value

    def _wrong(self, name: str) -> InvalidFileError:
        return InvalidFileError(f"{self.title} has something else for `{name}` than its definition says")

    def attr(self, name: str, otherwise: Any = None) -> Any:
        """A number or a list of numbers, never text: it may stand in the source as it is."""
        value = self._raw(name)
        if value is None:
            return otherwise
        if not all(isinstance(item, (int, float)) for item in (value if isinstance(value, list) else [value])):
            raise self._wrong(name)
        return value

    def text(self, name: str, otherwise: str) -> str:
        """To compare with, or for `literals.text`."""
        value = self._raw(name)
        if value is not None and not isinstance(value, (str, bytes)):
            raise self._wrong(name)
        return otherwise if value is None else value.decode("utf-8", "replace") if isinstance(value, bytes) else value

    def texts(self, name: str) -> list[str]:
        value = self._raw(name) or []
        if not isinstance(value, list) or not all(isinstance(item, (str, bytes)) for item in value):
            raise self._wrong(name)
        return [item.decode("utf-8", "replace") if isinstance(item, bytes) else item for item in value]

    def graph(self, name: str) -> Any:
        """`onnx_ir`'s graph in an attribute; None where there is none."""
        value = self._raw(name)
        if value is not None and not hasattr(value, "initializers"):
            raise self._wrong(name)
        return value

    def stored(self, name: str) -> Any:
        """`onnx_ir`'s tensor in an attribute; None where there is none."""
        value = self._raw(name)
        if value is not None and not hasattr(value, "numpy"):
            raise self._wrong(name)
        return value

    def float(self, name: str, otherwise: float) -> str:
        return literals.number(self.attr(name, otherwise), "float32")

    def ints_attr(self, name: str, otherwise: Iterable[int] | None = None) -> list[int] | None:
        value = self.attr(name, otherwise)
        return None if value is None else [int(item) for item in value]

    def flag(self, name: str, otherwise: int = 0) -> bool:
        return bool(self.attr(name, otherwise))

    def to(self, name: str) -> str:
        """The torch dtype that an attribute names."""
        number = int(self.attr(name, 1))
        made = literals.dtype_name(number)
        if made is None:
            raise self.unsupported(f"torch has no dtype for element type {number}")
        return made

    # outputs

    def wants(self, number: int) -> bool:
        """True where somebody uses the output."""
        outputs = self.node.outputs
        return number < len(outputs) and bool(outputs[number].name) and used(outputs[number])

    @property
    def outputs(self) -> int:
        return len(self.node.outputs)

    def out_dtype(self, number: int = 0) -> str | None:
        value = self.node.outputs[number]
        return literals.dtype_name(int(value.dtype)) if value.dtype is not None else None

    # the source

    def use(self, function: str) -> str:
        return self.scope.module.use(function)

    @property
    def device(self) -> str:
        return self.scope.module.device

    @property
    def title(self) -> str:
        domain = f"{self.node.domain}." if self.node.domain else ""
        return f"the operator {printable(domain + self.node.op_type, code=True)}"

    def unsupported(self, why: str) -> UnsupportedError:
        name = f" of node {printable(self.node.name, code=True)}" if self.node.name else ""
        return UnsupportedError(f"{self.title}{name} (opset {self.version}): {why}")


def used(value: Any) -> bool:
    """True for a value that an operator takes or the graph gives."""
    return bool(value.uses()) or value.is_graph_output()
