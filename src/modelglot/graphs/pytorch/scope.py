"""Values by name in a graph and the graphs around it, and the lines that compute them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from modelglot.core.errors import InvalidFileError, UnsupportedError, printable
from modelglot.graphs.builder import onnx_ir
from modelglot.graphs.pytorch import literals, names
from modelglot.graphs.pytorch.module import INLINE, Module, known
from modelglot.graphs.pytorch.values import NUMBER, NUMBERS, TENSOR, Value
from modelglot.graphs.pytorch.wrap import wrapped
from modelglot.graphs.skeleton import tensor_name

_FEW = 4  # floats in a Constant node that are no weight
_SIMPLE = 32  # characters of an expression of numbers that is repeated rather than given a name


@dataclass(slots=True)
class Lines:
    """Source text, indented."""

    made: list[str] = field(default_factory=list)
    depth: int = 2

    def add(self, text: str) -> None:
        self.made += wrapped(text, "    " * self.depth)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """``head`` and what is added inside, or `pass`."""
        self.add(head)
        self.depth += 1
        count = len(self.made)
        try:
            yield
            if len(self.made) == count:
                self.add("pass")
        finally:
            self.depth -= 1


@dataclass(slots=True)
class Scope:
    """``values`` are those of this graph; what is not among them belongs to ``outer``."""

    module: Module
    lines: Lines
    outer: Scope | None = None
    values: dict[str, Value] = field(default_factory=dict)

    def inner(self) -> Scope:
        return Scope(self.module, self.lines, self)

    def find(self, value: Any) -> Value:
        """Raises InvalidFileError for a value that nothing computes."""
        scope: Scope | None = self
        while scope is not None:
            if value.name in scope.values:
                return scope.values[value.name]
            scope = scope.outer
        raise InvalidFileError(f"no operator computes the value {printable(value.name or '', code=True)} that is used")

    def bind(self, value: Any, made: Value) -> None:
        """The graph's ``value`` is ``made``; what the graph knows of its type is added."""
        kind = literals.dtype_name(int(value.dtype)) if value.dtype is not None else None
        made.dtype = made.dtype or kind
        made.element = made.element or (int(value.dtype) if value.dtype is not None else None)
        made.shape = made.shape if made.shape is not None else _shape(value)
        self.values[value.name] = made

    def assign(self, value: Any, code: str, otherwise: str, kind: str = TENSOR) -> Value:
        """A line that gives the value a name."""
        name = self.name(value, otherwise)
        if name != code:
            self.lines.add(f"{name} = {code}")
        made = Value(name, kind)
        self.bind(value, made)
        return made

    def name(self, value: Any, otherwise: str) -> str:
        return names.identifier(value.name or "", otherwise, self.module.taken)

    def constant(self, value: Any, tensor: Any, *, initializer: bool) -> None:
        """A tensor of the file: with the weights where it is one, else inline."""
        dtype = literals.dtype_name(int(tensor.dtype))
        shape = tuple(int(size) for size in tensor.shape)
        made = Value("", TENSOR, dtype, shape, element=int(tensor.dtype))
        stored, count = tensor_name(tensor), tensor.size
        floating = dtype is not None and ("float" in dtype or "complex" in dtype)
        if stored is not None and (count > INLINE or (floating and shape and (initializer or count > _FEW))):
            if made.element in literals.SMALL and made.element not in literals.PACKED:
                raise UnsupportedError("torch has no tensors of these elements", tensor=stored)
            made.weight = stored
        if dtype is not None and count <= INLINE and not isinstance(tensor, onnx_ir().ExternalTensor):
            made.array = known(tensor)
        self.bind(value, made)

    # expressions for a value

    def tensor(self, value: Value) -> str:
        """As a tensor, whatever it is."""
        if value.kind in (NUMBER, NUMBERS):
            return self.module.new(value.code, value.dtype or "int64")
        if not value.code and value.weight is not None:
            value.code = self.module.weight(value)
        elif not value.code and value.array is not None:
            value.code = self.module.constant(value)
        return value.code

    def numbers(self, value: Value) -> str:
        """As a Python sequence of its elements."""
        items = self.items(value)
        if items is not None:
            return literals.items(items)
        return value.code if value.kind == NUMBERS else f"{self.tensor(value)}.tolist()"

    def items(self, value: Value) -> list[str] | None:
        """The code of each element of a value with one axis; None where their number is not known."""
        if value.array is not None and value.array.ndim == 1:
            return [literals.number(item, str(value.dtype)) for item in value.array]
        if value.array is not None and value.array.ndim == 0:
            return [literals.number(value.array[()], str(value.dtype))]
        return [value.code] if value.kind == NUMBER else value.items

    def number(self, value: Value) -> str:
        """As one Python number."""
        if value.array is not None and value.array.size == 1:
            return literals.number(value.array.reshape(-1)[0], str(value.dtype))
        if value.kind == NUMBER:
            return value.code
        if value.kind == NUMBERS:
            return value.items[0] if value.items else f"{value.code}[0]"
        return f"{self.tensor(value)}.item()"

    def keep(self, value: Any, made: Value, otherwise: str) -> None:
        """Numbers under their own expression where that is short, else under a name."""
        long = max((len(code) for code in made.items or [made.code]), default=0) > _SIMPLE
        if made.kind == NUMBERS and long and made.items is not None and len(made.items) == 1:
            made = made.copy(items=[self.assign(value, bare(made.items[0]), otherwise).code])
            made.code = literals.items(made.items or [])
        elif made.kind == NUMBERS and long:
            code = self.assign(value, made.code, otherwise).code
            items = None if made.items is None else [f"{code}[{number}]" for number in range(len(made.items))]
            made = made.copy(code=code, items=items)
        elif made.kind == NUMBER and long:
            made = made.copy(code=self.assign(value, bare(made.code), otherwise).code)
        self.bind(value, made)


def bare(code: str) -> str:
    """Without the brackets around the whole of it."""
    inside = code[1:-1]
    depth = 0
    for character in inside:
        depth += (character == "(") - (character == ")")
        if depth < 0:
            return code
    return inside if code.startswith("(") and code.endswith(")") and "," not in inside else code


def _shape(value: Any) -> tuple[int | None, ...] | None:
    if value.shape is None:
        return None
    return tuple(size if isinstance(size, int) and size >= 0 else None for size in value.shape)
