"""Who answers a call of the code: a special form, a function or class of the archive, an operator of the tables."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from modelglot.core.errors import LimitError, ModelFileError, UnsupportedError, printable
from modelglot.graphs.torchscript import plain
from modelglot.graphs.torchscript.operators.registry import LISTS, OPERATORS
from modelglot.graphs.torchscript.values import UNSET, Cell, Object, Raised, Scalar, Unknown
from modelglot.graphs.torchscript.views import PERHAPS, SAME, VIEWS, is_view

if TYPE_CHECKING:
    from modelglot.graphs.torchscript.interpreter import Frame, Interpreter

_ALIASES = {"ops.aten.": "", "torch.": "", "ops.prim.": "prim.", "ops.": ""}

_OF_LISTS = ("slice", "add", "add_", "mul", "copy")  # whatever the items are


def user(run: Interpreter, name: str, arguments: Sequence[Any], named: Mapping[str, Any]) -> Any:
    """A function of the archive, ``Class.__new__(Class)``, or a named tuple of it."""
    if name.endswith(".__new__"):
        return Object(name.removesuffix(".__new__"))
    found = run.program.find(name)
    if found is None:
        raise UnsupportedError(f"the archive has no code for `{printable(name)}`")
    if isinstance(found.node, ast.FunctionDef):
        return run.run(found, arguments, dict(named))
    fields = [n.target.id for n in found.node.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)]
    if len(fields) != len(arguments):
        raise UnsupportedError(f"`{printable(name)}` is made of {len(arguments)} values and has {len(fields)} fields")
    return Object(name, dict(zip(fields, arguments, strict=True)))


def call(run: Interpreter, name: str, arguments: Sequence[Any], named: Mapping[str, Any] | None = None) -> Any:
    """An operator: on known values at once, else as nodes of the graph."""
    short = _short(name)
    try:
        return _called(run, short, list(arguments), dict(named or {}))
    except (ModelFileError, Raised):
        raise
    except RecursionError:
        raise LimitError("the code is nested too deep to be followed") from None
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, ZeroDivisionError, OverflowError) as error:
        shown = printable(f"{type(error).__name__}: {error}")
        raise UnsupportedError(f"`{printable(name)}` with these arguments is not understood ({shown})") from error


def _called(run: Interpreter, name: str, arguments: list[Any], named: dict[str, Any]) -> Any:
    if name in LISTS:
        return LISTS[name](run, *arguments, **named)
    if name in _OF_LISTS and isinstance(arguments[0], list):
        return plain.PLAIN[name](*arguments)
    values = [_read(run, a) for a in arguments]
    if name in plain.PLAIN and plain.all_known([*values, *named.values()]):
        return plain.PLAIN[name](*values)
    base = name if name in OPERATORS else name.removesuffix("_")
    operator = OPERATORS.get(base)
    if operator is None:
        raise _unknown(run, name)
    keywords = {k: _read(run, v) for k, v in named.items()}
    if plain.lifts(base, [*values, *keywords.values()]):
        return plain.lifted(run.kit, base, operator, values)
    made = operator(run.kit, *values, **keywords)
    if base != name and isinstance(arguments[0], Cell):
        target = arguments[0]
        run.state.store(target, run.kit.cast(made, run.kit.dtype(run.state.read(target))))
        return target
    return _boxed(run, base, made, arguments, keywords)


def _boxed(run: Interpreter, name: str, made: Any, arguments: list[Any], named: dict[str, Any]) -> Any:
    """Results as tensors of the code; views know what they are a view of."""
    first = arguments[0] if arguments else None
    same = name in SAME or (is_view(name) and name != "contiguous")
    if isinstance(first, Cell) and same and made is run.state.read(first):
        return first
    view = isinstance(first, Cell) and is_view(name)

    def again() -> Any:
        values = [_read(run, a) for a in arguments]
        return OPERATORS[name](run.kit, *values, **named)

    def cell(value: Any, pick: Callable[[Any], Any]) -> Any:
        if not isinstance(value, run.kit.ir.Value):
            return value
        found = Cell(value)
        if view and isinstance(first, Cell):
            found.base, found.seen, found.perhaps = first, first.version, name in PERHAPS
            found.remake = lambda: pick(again())
            write = VIEWS.get(name)
            if write is not None:
                rest = [_read(run, a) for a in arguments[1:]]
                found.write = lambda new: write(run.kit, run.state.read(first), new, *rest, **named)
        return found

    if isinstance(made, (list, tuple)):
        cells = [cell(v, itemgetter(i)) for i, v in enumerate(made)]
        return cells if isinstance(made, list) else tuple(cells)
    return cell(made, lambda one: one)


def _read(run: Interpreter, value: Any) -> Any:
    if isinstance(value, Cell):
        return run.state.read(value)
    if isinstance(value, list):
        return [_read(run, v) for v in value]
    if isinstance(value, tuple):
        return tuple(_read(run, v) for v in value)
    if isinstance(value, Unknown):
        raise UnsupportedError(value.why)
    return value


def _short(name: str) -> str:
    for prefix, short in _ALIASES.items():
        if name.startswith(prefix):
            return short + name.removeprefix(prefix)
    return name


def known(name: str) -> bool:
    short = _short(name)
    return any(n in table for n in (short, short.removesuffix("_")) for table in (OPERATORS, LISTS, plain.PLAIN))


def _unknown(run: Interpreter, name: str) -> UnsupportedError:
    """Names the operator, how often the code has it, and what else is missing."""
    counts = Counter(_short(found) for found, _, _ in run.program.calls())
    others = [f"`{n}` ({c}x)" for n, c in counts.most_common() if n != name and not known(f"torch.{n}")]
    return UnsupportedError(
        f"the operator {printable(name, code=True)} ({counts[name]:,}x in the code) has no form in ONNX here",
        detail="the archive also names " + printable(", ".join(others[:12])) if others else None,
    )


# special forms: they take types, or give what is no value of an operator


def _second(run: Interpreter, node: ast.Call, frame: Frame) -> Any:
    """``annotate(T, value)``, ``unchecked_cast(T, value)``."""
    return run.value(node.args[-1], frame)


def _getattr(run: Interpreter, node: ast.Call, frame: Frame) -> Any:
    name = run.value(node.args[1], frame)
    return run.attribute(run.value(node.args[0], frame), str(name))


def _number(kind: str) -> Callable[[Interpreter, ast.Call, Frame], Any]:
    def made(run: Interpreter, node: ast.Call, frame: Frame) -> Any:
        return plain.to_number(run.kit, run.read(run.value(node.args[0], frame)), kind)

    return made


def _is_instance(run: Interpreter, node: ast.Call, frame: Frame) -> Any:
    value = run.value(node.args[0], frame)
    wanted = node.args[1].elts if isinstance(node.args[1], (ast.List, ast.Tuple)) else [node.args[1]]
    return any(_fits(value, ast.unparse(w)) for w in wanted)


def _fits(value: Any, kind: str) -> bool:
    kinds: dict[str, Any] = {
        "Tensor": Cell,
        "int": int,
        "float": float,
        "bool": bool,
        "str": str,
        "NoneType": type(None),
    }
    if kind.partition("[")[0] in ("List", "Tuple", "Dict"):
        return isinstance(value, {"L": list, "T": tuple, "D": dict}[kind[0]])
    if isinstance(value, Scalar):
        return value.kind == kind
    if isinstance(value, Object):
        return value.kind == kind
    return kind in kinds and isinstance(value, kinds[kind]) and not (kind == "int" and isinstance(value, bool))


SPECIAL_FORMS: dict[str, Callable[[Interpreter, ast.Call, Frame], Any]] = {
    "annotate": _second,
    "unchecked_cast": _second,
    "getattr": _getattr,
    "uninitialized": lambda run, node, frame: UNSET,
    "isinstance": _is_instance,
    "int": _number("int"),
    "float": _number("float"),
    "bool": _number("bool"),
    "str": lambda run, node, frame: str(run.value(node.args[0], frame)),
    "print": lambda run, node, frame: None,
}
