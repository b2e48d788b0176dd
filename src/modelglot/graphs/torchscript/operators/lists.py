"""Lists, dicts and errors: operators on what the code holds. They take the interpreter and unread arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelglot.core.errors import UnsupportedError
from modelglot.graphs.torchscript.operators.table import Table
from modelglot.graphs.torchscript.values import Cell, Object, Raised, Scalar, Sequence

if TYPE_CHECKING:
    from modelglot.graphs.torchscript.interpreter import Interpreter

TABLE = Table()


@TABLE("prim.RaiseException")
def raise_exception(run: Interpreter, message: Any = "", *rest: Any) -> Any:
    raise Raised(str(message))


@TABLE("append")
def append(run: Interpreter, items: list[Any], item: Any) -> list[Any]:
    run.state.touch(items)
    if len(items) == 1 and isinstance(items[0], Sequence):
        grown = run.kit.op("SequenceInsert", items[0].value, run.read(item))
        grown.type, grown.shape = items[0].value.type, None
        items[0] = Sequence(grown, items[0].like)
    else:
        items.append(item)
    return items


@TABLE("extend")
def extend(run: Interpreter, items: list[Any], more: list[Any]) -> None:
    run.state.touch(items)
    items.extend(more)


@TABLE("insert")
def insert(run: Interpreter, items: list[Any], at: int, item: Any) -> None:
    run.state.touch(items)
    items.insert(at, item)


@TABLE("pop")
def pop(run: Interpreter, items: Any, *where: Any) -> Any:
    run.state.touch(items)
    return items.pop(*where)


@TABLE("clear")
def clear(run: Interpreter, items: Any) -> None:
    run.state.touch(items)
    items.clear()


@TABLE("reverse")
def reverse(run: Interpreter, items: list[Any]) -> None:
    run.state.touch(items)
    items.reverse()


@TABLE("_item", "__getitem__")
def item(run: Interpreter, items: Any, where: Any) -> Any:
    if isinstance(items, Object):  # a named tuple
        items = list(items.attributes.values())
    if isinstance(items, list) and len(items) == 1 and isinstance(items[0], Sequence):
        index = where.value if isinstance(where, Scalar) else run.kit.constant(where)
        made = run.kit.op("SequenceAt", items[0].value, index)
        made.type, made.shape = items[0].like.type, items[0].like.shape
        return Cell(made)
    if isinstance(where, Scalar):
        raise UnsupportedError("an item of a list whose number is only known when the graph runs")
    return items[where]


@TABLE("_set_item")
def set_item(run: Interpreter, items: Any, where: Any, value: Any) -> Any:
    if isinstance(where, Scalar):
        raise UnsupportedError("an item of a list whose number is only known when the graph runs")
    run.state.touch(items)
    items[where] = value
    return items


@TABLE("get")
def get(run: Interpreter, items: dict[Any, Any], key: Any, default: Any = None) -> Any:
    return items.get(key, default)


@TABLE("__contains__")
def contains(run: Interpreter, items: Any, wanted: Any) -> Any:
    if isinstance(wanted, Scalar):
        return _any_of(run, items, wanted)
    return wanted in items


def _any_of(run: Interpreter, items: Any, wanted: Scalar) -> Scalar:
    kit, found = run.kit, None
    for one in items:
        same = kit.op("Equal", wanted.value, kit.at(one, kit.dtype(wanted.value)))
        found = same if found is None else kit.op("Or", found, same)
    return Scalar(found if found is not None else kit.constant(False), "bool")


@TABLE("len")
def length(run: Interpreter, items: Any) -> Any:
    if isinstance(items, Cell):
        return run.kit.size(run.read(items), 0)
    if isinstance(items, list) and len(items) == 1 and isinstance(items[0], Sequence):
        return Scalar(run.kit.op("SequenceLength", items[0].value), "int")
    return len(items)


@TABLE("list")
def listed(run: Interpreter, items: Any) -> list[Any]:
    return list(items)


def _is(run: Interpreter, a: Any, b: Any) -> bool:
    return a is b or (isinstance(a, (bool, int, float, str)) and type(a) is type(b) and a == b)


TABLE["__is__"] = _is
TABLE["__isnot__"] = lambda run, a, b: not _is(run, a, b)
TABLE["keys"] = lambda run, items: list(items.keys())
TABLE["values"] = lambda run, items: list(items.values())
TABLE["items"] = lambda run, items: list(items.items())
TABLE["unwrap_optional"] = TABLE["prim.unchecked_unwrap_optional"] = lambda run, value: value
TABLE["_unwrap_optional"] = TABLE["prim.unchecked_cast"] = TABLE["unwrap_optional"]
TABLE["warn"] = TABLE["set_grad_enabled"] = TABLE["manual_seed"] = lambda run, *rest, **named: None
