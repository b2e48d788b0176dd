"""Loops whose end is only known when the graph runs, as ``Loop`` nodes.

What the body changes is found by following it, then it is followed again with all of that as inputs of the body, until
types and sizes stay as they are.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelglot.core.errors import UnsupportedError
from modelglot.graphs.torchscript import dtypes
from modelglot.graphs.torchscript.emitter import Dim
from modelglot.graphs.torchscript.live import live
from modelglot.graphs.torchscript.state import Change, Place, check_merged, reachable
from modelglot.graphs.torchscript.values import Cell, Scalar, Sequence, Unknown, is_number

if TYPE_CHECKING:
    from modelglot.graphs.torchscript.interpreter import Frame, Interpreter

_MOST_ROUNDS = 8


@dataclass(slots=True)
class Carried:
    """One value from turn to turn: ``name`` is a variable, or ``change`` what the body changes in place."""

    start: Any  # an `onnx_ir.Value`
    kind: str  # tensor, sequence, or a kind of number
    dims: list[Dim] | None
    name: str | None = None
    change: Change | None = None
    inner: Any = None
    end: Any = None


def loop(
    run: Interpreter,
    body: list[ast.stmt],
    frame: Frame,
    *,
    trips: Scalar | None = None,
    index: ast.expr | None = None,
    test: ast.expr | None = None,
    first: Scalar | None = None,
) -> None:
    """A ``for`` has ``trips`` and ``index``, a ``while`` has ``test`` and its ``first`` value."""
    names = _assigned(body, frame, index)
    carried = [_of_name(run, name, frame.names[name]) for name in names]
    places: dict[Place, Carried] = {}
    for _ in range(_MOST_ROUNDS):
        before = dict(frame.names)
        turn = run.kit.value(run.kit.named("turn"), dtypes.INT64, [])
        going = run.kit.value(run.kit.named("going"), dtypes.BOOL, [])
        every = [*carried, *places.values()]
        with run.kit.inside() as nodes, run.state.branch() as changes:
            for one in every:
                _enter(run, one, frame)
            if index is not None:
                run.assign(index, Scalar(turn, "int"), frame)
            run.block(body, frame)
            again = run.truth(test, frame) if test is not None else True
            for one in every:
                _leave(run, one, frame)
            goes_on = run.kit.op("Identity", going) if again is True else _own(run, run.kit.at(again, dtypes.BOOL))
        frame.names = before
        outer = reachable(before.values()) if changes else set()
        new = {p: c for p, c in changes.items() if p not in places and p[0] in outer and not _same(c)}
        fresh = {p: _of_change(run, c) for p, c in new.items()}
        widened = [_widened(run, one) for one in every]
        if not fresh and not any(widened):
            break
        places.update(fresh)
    else:
        raise UnsupportedError("a loop whose values change their types from turn to turn")
    _emit(run, every, frame, nodes, turn, going, goes_on, trips, first)


def _assigned(body: list[ast.stmt], frame: Frame, index: ast.expr | None) -> list[str]:
    """Variables from before the loop that its body sets."""
    own = index.id if isinstance(index, ast.Name) else None
    found = {
        n.id for s in body for n in ast.walk(s) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }  # fmt: skip
    return [name for name in frame.names if name in found and name != own]


def _of_name(run: Interpreter, name: str, value: Any) -> Carried:
    if isinstance(value, Cell):
        own = run.state.read(value)
        return Carried(own, "tensor", run.kit.dims(own), name)
    if is_number(value):
        kind = value.kind if isinstance(value, Scalar) else type(value).__name__
        return Carried(run.kit.at(value, dtypes.OF_KIND[kind]), kind, [], name)
    if value is None or isinstance(value, (str, Unknown)):
        return Carried(value, "same", None, name)
    raise UnsupportedError(f"a loop changes `{name}`, which is neither a tensor nor a number")


def _same(change: Change) -> bool:
    """A view that was made again is no change of its own: its base is."""
    return change.old is change.new or (isinstance(change.owner, Cell) and change.owner.base is not None)


def _of_change(run: Interpreter, change: Change) -> Carried:
    kit, owner = run.kit, change.owner
    check_merged(change)
    if isinstance(owner, Cell):
        return Carried(change.old, "tensor", kit.dims(change.old), change=change)
    if isinstance(owner, list):
        return Carried(_sequence(run, change), "sequence", None, change=change)
    made = _of_name(run, change.attribute, change.old)
    made.name, made.change = None, change
    return made


def _sequence(run: Interpreter, change: Change) -> Sequence:
    """A list that the body appends to, as a sequence of the graph."""
    old, grown = change.old, change.new
    if len(old) == 1 and isinstance(old[0], Sequence):
        return old[0]
    cells = [run.state.read(v) for v in (*old, *grown[len(old) :]) if isinstance(v, Cell)]
    if not cells or len(cells) != len(grown) or grown[: len(old)] != old:
        raise UnsupportedError("a loop changes a list otherwise than by appending tensors")
    kit = run.kit
    if old:
        made = kit.op("SequenceConstruct", *cells[: len(old)])
    else:
        node = kit.ir.node("SequenceEmpty", [], {"dtype": kit.dtype(cells[0])})
        kit.name(node)
        kit.add(node)
        made = node.outputs[0]
    made.type, made.shape = kit.ir.SequenceType(kit.ir.TensorType(cells[0].dtype)), None
    return Sequence(made, kit.value("like", kit.dtype(cells[0]), [None] * kit.rank(cells[0])))


def _enter(run: Interpreter, one: Carried, frame: Frame) -> None:
    """The body sees an input of its own in place of the value."""
    kit = run.kit
    if one.kind == "same":
        return
    if one.kind == "sequence":
        start = one.start
        one.inner = kit.ir.Value(name=kit.named("list"), type=start.value.type)
        _set(run, one, frame, Sequence(one.inner, start.like))
        return
    one.inner = kit.value(kit.named("carried"), kit.dtype(one.start), one.dims or [])
    if one.change is not None and isinstance(one.change.owner, Cell):
        run.state.again(one.change, one.inner)
        return
    _set(run, one, frame, Cell(one.inner) if one.kind == "tensor" else Scalar(one.inner, one.kind))


def _set(run: Interpreter, one: Carried, frame: Frame, value: Any) -> None:
    if one.name is not None:
        frame.names[one.name] = value
    elif one.change is not None:
        run.state.again(one.change, [value] if isinstance(value, Sequence) else value)


def _leave(run: Interpreter, one: Carried, frame: Frame) -> None:
    """The value after a turn, as one that a node of the body makes."""
    value: Any
    if one.name is not None:
        value = frame.names[one.name]
    elif one.change is not None:
        owner = one.change.owner
        value = owner.value if isinstance(owner, Cell) else owner[0] if isinstance(owner, list) else None
        if value is None:
            value = owner.attributes[one.change.attribute]
    if one.kind == "same":
        if value is not one.start and value != one.start:
            raise UnsupportedError("a loop changes a value that is neither a tensor nor a number")
        return
    if isinstance(value, Sequence):
        one.end = value.value if value.value is not one.inner else run.kit.op("Identity", value.value)
        return
    plain = run.kit.plain(run.read(value))
    if not isinstance(plain, run.kit.ir.Value):
        raise UnsupportedError("a loop leaves a value that is neither a tensor nor a number")
    if one.kind == "tensor" and run.kit.dtype(plain) != run.kit.dtype(one.start):
        raise UnsupportedError("a loop changes the type of a tensor from turn to turn")
    one.end = _own(run, run.kit.cast(plain, run.kit.dtype(one.start)))


def _own(run: Interpreter, value: Any) -> Any:
    node = run.kit.ir.node("Identity", [value])
    run.kit.name(node)
    node.outputs[0].type, node.outputs[0].shape = value.type, value.shape
    run.kit.add(node)
    return node.outputs[0]


def _widened(run: Interpreter, one: Carried) -> bool:
    """Sizes that a turn changes are open from now on; True where some were not before."""
    if one.dims is None or one.kind != "tensor":
        return False
    after = run.kit.dims(one.end)
    if len(after) != len(one.dims):
        raise UnsupportedError("a loop changes the number of axes of a tensor from turn to turn")
    merged = [a if a == b else None for a, b in zip(one.dims, after, strict=True)]
    changed, one.dims = merged != one.dims, merged
    return changed


def _emit(
    run: Interpreter, every: list[Carried], frame: Frame, nodes: list[Any], turn: Any, going: Any, goes_on: Any,
    trips: Scalar | None, first: Scalar | None,
) -> None:  # fmt: skip
    kit = run.kit
    kept = [one for one in every if one.kind != "same"]
    ends = [goes_on, *(one.end for one in kept)]
    body = kit.graph("body", [turn, going, *(one.inner for one in kept)], ends, live(nodes, ends))
    starts = [one.start.value if isinstance(one.start, Sequence) else one.start for one in kept]
    inputs = [trips.value if trips else None, first.value if first else kit.constant(True), *starts]
    node = kit.ir.node("Loop", inputs, {"body": body}, num_outputs=len(kept))
    kit.name(node)
    kit.add(node)
    for one, output in zip(kept, node.outputs, strict=True):
        output.type = one.inner.type
        if one.kind == "sequence":
            _set(run, one, frame, Sequence(output, one.start.like))
            continue
        output.shape = kit.ir.Shape(one.dims or [])
        if one.change is not None and isinstance(one.change.owner, Cell):
            run.state.again(one.change, output)
        else:
            _set(run, one, frame, Cell(output) if one.kind == "tensor" else Scalar(output, one.kind))
