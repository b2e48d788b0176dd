"""The code followed symbolically: expressions, statements, calls. Branches and loops are in `flow`."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from modelglot.core.errors import LimitError, ModelFileError, UnsupportedError, printable
from modelglot.graphs.torchscript import dispatch, flow
from modelglot.graphs.torchscript.archive import Program, Source, dotted
from modelglot.graphs.torchscript.kit import Kit
from modelglot.graphs.torchscript.plain import truth
from modelglot.graphs.torchscript.state import State
from modelglot.graphs.torchscript.values import Cell, Method, Name, Object, Scalar, Unknown

_MOST_STEPS = 3_000_000
_DEEPEST = 56  # calls inside calls
_ROOTS = ("torch", "ops", "__torch__", "CONSTANTS")
_SPECIAL = {"inf": math.inf, "infj": complex(0, math.inf), "nan": math.nan}


@dataclass(slots=True)
class Frame:
    """A call: its variables, and where its code is."""

    names: dict[str, Any]
    source: Source
    result: Any = None


class Interpreter:
    def __init__(self, program: Program, kit: Kit, constants: list[Any]) -> None:
        self.program, self.kit, self.constants = program, kit, constants
        self.state = State()
        self.steps = self.depth = 0
        self.assumed: dict[str, None] = {}  # errors of the code that are taken as never met
        self.line = 0
        self.used: dict[int, set[str]] = {}  # by the identity of a branch: names that are read outside of it

    # calls

    def call(self, owner: Object, name: str, arguments: Sequence[Any]) -> Any:
        """A method. Raises UnsupportedError where the class has none of that name, `Raised`, LimitError."""
        found = self.program.method(owner.kind, name)
        if found is None:
            raise UnsupportedError(f"`{printable(owner.kind)}` has no method `{printable(name)}` in the archive")
        outer, self.kit.scope = self.kit.scope, owner.path or self.kit.scope
        try:
            return self.run(found, [owner, *arguments])
        finally:
            self.kit.scope = outer

    def run(self, source: Source, arguments: Sequence[Any], named: dict[str, Any] | None = None) -> Any:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise LimitError(f"calls of the code are more than {_DEEPEST} deep")
        try:
            frame = Frame(self.bound(source, arguments, named or {}), source)
            self.block(source.node.body, frame)
        except ModelFileError as error:
            self._place(error, source)
            raise
        self.depth -= 1
        return frame.result

    def _place(self, error: ModelFileError, source: Source) -> None:
        """The innermost place in the code goes into the error."""
        if error.member is None:
            error.member = f"{source.member.partition('/code/')[2] or source.member}:{self.line}"

    def bound(self, source: Source, arguments: Sequence[Any], named: dict[str, Any]) -> dict[str, Any]:
        node = source.node
        if not isinstance(node, ast.FunctionDef):
            raise UnsupportedError(f"`{node.name}` is a class and is called as a function")
        parameters = [p.arg for p in node.args.args]
        found = dict(zip(parameters, arguments, strict=False)) | named
        empty = Frame({}, source)
        defaults = node.args.defaults
        for name, default in zip(parameters[len(parameters) - len(defaults) :], defaults, strict=True):
            if name not in found:
                found[name] = self.value(default, empty)
        missing = [p for p in parameters if p not in found]
        if missing or len(arguments) > len(parameters):
            raise UnsupportedError(f"`{printable(node.name)}` is called with {len(arguments)} arguments")
        return found

    # statements

    def block(self, statements: Sequence[ast.stmt], frame: Frame) -> None:
        for statement in statements:
            self.step(statement)
            handler = _STATEMENTS.get(type(statement))
            if handler is None:
                raise UnsupportedError(f"`{type(statement).__name__}` statements are not followed")
            handler(self, statement, frame)

    def step(self, node: ast.AST) -> None:
        self.steps += 1
        self.line = getattr(node, "lineno", self.line)
        if self.steps > _MOST_STEPS:
            raise LimitError(f"the code takes more than {_MOST_STEPS:,} steps")

    def assign(self, target: ast.expr, value: Any, frame: Frame) -> None:
        if isinstance(target, ast.Name):
            frame.names[target.id] = value
        elif isinstance(target, (ast.Tuple, ast.List)):
            items = self.items(value)
            if len(items) != len(target.elts):
                raise UnsupportedError(f"{len(items)} values for {len(target.elts)} names")
            for part, item in zip(target.elts, items, strict=True):
                self.assign(part, item, frame)
        elif isinstance(target, ast.Attribute):
            owner = self.value(target.value, frame)
            if not isinstance(owner, Object):
                raise UnsupportedError(f"an attribute `{printable(target.attr)}` of no object is set")
            self.state.assign(owner, target.attr, value)
        elif isinstance(target, ast.Subscript):
            dispatch.call(self, "_set_item", [self.value(target.value, frame), self.value(target.slice, frame), value])
        else:
            raise UnsupportedError(f"an assignment to `{type(target).__name__}`")

    def items(self, value: Any) -> list[Any]:
        if isinstance(value, Object):  # a named tuple
            return list(value.attributes.values())
        if isinstance(value, (list, tuple)):
            return list(value)
        raise UnsupportedError("a value that is no list of known length is taken apart")

    # expressions

    def value(self, node: ast.expr, frame: Frame) -> Any:
        self.steps += 1
        handler = _EXPRESSIONS.get(type(node))
        if handler is None:
            raise UnsupportedError(f"`{type(node).__name__}` expressions are not followed")
        return handler(self, node, frame)

    def truth(self, node: ast.expr, frame: Frame) -> bool | Scalar:
        return truth(self.kit, self.read(self.value(node, frame)))

    def read(self, value: Any) -> Any:
        """The ``onnx_ir.Value`` of a tensor; anything else as it is."""
        return self.state.read(value) if isinstance(value, Cell) else value

    def reference(self, name: str) -> Any:
        """What a dotted name stands for that is no variable."""
        if name.startswith("CONSTANTS.c"):
            number = name.removeprefix("CONSTANTS.c")
            if number.isdigit() and int(number) < len(self.constants):
                return self.constants[int(number)]
            raise UnsupportedError(f"the archive has no constant `{printable(name)}`")
        return Name(name)

    def attribute(self, owner: Any, name: str) -> Any:
        if isinstance(owner, Name):
            return self.reference(f"{owner.text}.{name}")
        if isinstance(owner, Unknown):
            raise UnsupportedError(owner.why)
        if not isinstance(owner, Object):
            raise UnsupportedError(f"an attribute `{printable(name)}` of a value that is no object")
        if name in owner.attributes:
            return owner.attributes[name]
        if self.program.method(owner.kind, name):
            return Method(owner, name)
        return self._class_constant(owner, name)

    def _class_constant(self, owner: Object, name: str) -> Any:
        """``kernel_size : Final[Tuple[int]] = (3,)`` in the body of the class."""
        found = self.program.find(owner.kind)
        for node in found.node.body if found else []:
            if not isinstance(node, ast.AnnAssign) or node.value is None or found is None:
                continue
            if isinstance(node.target, ast.Name) and node.target.id == name:
                return self.value(node.value, Frame({}, found))
        raise UnsupportedError(f"`{printable(owner.kind)}` has no attribute `{printable(name)}`")


def _assign(run: Interpreter, node: ast.Assign, frame: Frame) -> None:
    value = run.value(node.value, frame)
    for target in node.targets:
        run.assign(target, value, frame)


def _annotated(run: Interpreter, node: ast.AnnAssign, frame: Frame) -> None:
    if node.value is not None:
        run.assign(node.target, run.value(node.value, frame), frame)


def _expression(run: Interpreter, node: ast.Expr, frame: Frame) -> None:
    run.value(node.value, frame)


def _return(run: Interpreter, node: ast.Return, frame: Frame) -> None:
    frame.result = run.value(node.value, frame) if node.value is not None else None


def _with(run: Interpreter, node: ast.With, frame: Frame) -> None:
    """Contexts of the code switch gradients on and off, which a graph has none of."""
    run.block(node.body, frame)


def _name(run: Interpreter, node: ast.Name, frame: Frame) -> Any:
    if node.id in frame.names:
        return frame.names[node.id]
    if node.id in _SPECIAL:
        return _SPECIAL[node.id]
    if node.id in _ROOTS or node.id in dispatch.SPECIAL_FORMS:
        return Name(node.id)
    raise UnsupportedError(f"the name `{printable(node.id)}` of the code is not known")


def _attribute(run: Interpreter, node: ast.Attribute, frame: Frame) -> Any:
    text = dotted(node)
    if text is not None and text.partition(".")[0] in _ROOTS and text.partition(".")[0] not in frame.names:
        return run.reference(text)
    return run.attribute(run.value(node.value, frame), node.attr)


def _call(run: Interpreter, node: ast.Call, frame: Frame) -> Any:
    run.line = node.lineno
    function = run.value(node.func, frame)
    if isinstance(function, Name) and function.text in dispatch.SPECIAL_FORMS:
        return dispatch.SPECIAL_FORMS[function.text](run, node, frame)
    arguments = [run.value(a, frame) for a in node.args]
    named = {k.arg: run.value(k.value, frame) for k in node.keywords if k.arg}
    run.line = node.lineno
    if isinstance(function, Method):
        return run.call(function.owner, function.name, arguments)
    if not isinstance(function, Name):
        raise UnsupportedError("a value that is no function is called")
    if function.text.startswith("__torch__"):
        return dispatch.user(run, function.text, arguments, named)
    return dispatch.call(run, function.text, arguments, named)


def _unary(run: Interpreter, node: ast.UnaryOp, frame: Frame) -> Any:
    value = run.value(node.operand, frame)
    if isinstance(node.op, ast.USub):
        return -value if isinstance(value, (int, float)) else dispatch.call(run, "torch.neg", [value])
    return dispatch.call(run, "torch.__not__", [value])


_EXPRESSIONS: dict[type[ast.AST], Callable[[Interpreter, Any, Frame], Any]] = {
    ast.Constant: lambda run, node, frame: node.value,
    ast.Name: _name,
    ast.Attribute: _attribute,
    ast.Call: _call,
    ast.UnaryOp: _unary,
    ast.Tuple: lambda run, node, frame: tuple(run.value(e, frame) for e in node.elts),
    ast.List: lambda run, node, frame: [run.value(e, frame) for e in node.elts],
    ast.Dict: lambda run, node, frame: {
        run.value(k, frame): run.value(v, frame) for k, v in zip(node.keys, node.values, strict=True) if k is not None
    },
    ast.Subscript: lambda run, node, frame: dispatch.call(
        run, "_item", [run.value(node.value, frame), run.value(node.slice, frame)]
    ),
}
_STATEMENTS: dict[type[ast.stmt], Callable[[Interpreter, Any, Frame], None]] = {
    ast.Assign: _assign,
    ast.AnnAssign: _annotated,
    ast.Expr: _expression,
    ast.Return: _return,
    ast.With: _with,
    ast.Pass: lambda run, node, frame: None,
    ast.If: flow.branch,
    ast.For: flow.count,
    ast.While: flow.repeat,
}
