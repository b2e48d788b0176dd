"""Branches and loops: followed where their condition is known, else nodes ``If`` and ``Loop`` of the graph."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from modelglot.core.errors import UnsupportedError
from modelglot.graphs.torchscript import loops
from modelglot.graphs.torchscript.merge import Merge
from modelglot.graphs.torchscript.state import Change, Place, check_merged, reachable
from modelglot.graphs.torchscript.values import UNSET, Cell, Raised, Scalar

if TYPE_CHECKING:
    from modelglot.graphs.torchscript.interpreter import Frame, Interpreter


def branch(run: Interpreter, node: ast.If, frame: Frame) -> None:
    condition = run.truth(node.test, frame)
    if not isinstance(condition, Scalar):
        run.block(node.body if condition else node.orelse, frame)
        return
    for taken, other in ((node.body, node.orelse), (node.orelse, node.body)):
        if _ends(other):
            run.assumed[_message(other)] = None
            run.block(taken, frame)
            return
    _both(run, node, frame, condition)


def _both(run: Interpreter, node: ast.If, frame: Frame, condition: Scalar) -> None:
    before = dict(frame.names)
    ways: list[_Way | None] = [_follow(run, body, frame, before) for body in (node.body, node.orelse)]
    if None in ways:
        way = next((w for w in ways if w is not None), None)
        if way is None:
            raise Raised("both ways of a condition end in an error")
        run.kit.nodes.extend(way.nodes)
        frame.names = way.names
        for change in way.changes.values():
            run.state.again(change, change.new)
        return
    yes, no = ways
    if yes is None or no is None:
        return
    merge = Merge(run.kit, run.state, yes.nodes, no.nodes)
    used = _read_elsewhere(run, node, frame)
    names = {
        name: merge.of(yes.names.get(name, UNSET), no.names.get(name, UNSET))
        for name in dict.fromkeys([*yes.names, *no.names])
        if name in used or name in before
    }
    outer = reachable(before.values()) if yes.changes or no.changes else set()
    changes = []
    for place in dict.fromkeys([*yes.changes, *no.changes]):
        change = _change(place, yes.changes, no.changes)
        view = isinstance(change.owner, Cell) and change.owner.base is not None  # made again from its base
        if place[0] in outer and not view:
            check_merged(change)
            changes.append((change, merge.of(*_news(place, yes.changes, no.changes))))
    results = merge.node(condition.value)
    frame.names = {name: made(results) for name, made in names.items()}
    for change, made in changes:
        run.state.again(change, made(results))


class _Way:
    """One branch that was followed: its nodes, the variables after it, what it changed."""

    __slots__ = ("changes", "names", "nodes")

    def __init__(self, nodes: list[Any], names: dict[str, Any], changes: dict[Place, Change]) -> None:
        self.nodes, self.names, self.changes = nodes, names, changes


def _follow(run: Interpreter, body: list[ast.stmt], frame: Frame, before: dict[str, Any]) -> _Way | None:
    """None where the code ends with an error on that way."""
    frame.names = dict(before)
    depth, scope = run.depth, run.kit.scope
    try:
        with run.kit.inside() as nodes, run.state.branch() as changes:
            run.block(body, frame)
    except Raised as error:
        run.assumed[str(error)] = None
        run.depth, run.kit.scope = depth, scope
        frame.names = dict(before)
        return None
    if frame.result is not None:
        raise UnsupportedError("a result is given back inside of a branch")
    names, frame.names = frame.names, dict(before)
    return _Way(nodes, names, changes)


def _change(place: Place, *ways: dict[Place, Change]) -> Change:
    return next(way[place] for way in ways if place in way)


def _news(place: Place, *ways: dict[Place, Change]) -> list[Any]:
    old = _change(place, *ways).old
    return [way[place].new if place in way else old for way in ways]


def _ends(body: list[ast.stmt]) -> bool:
    return any(_message([s]) for s in body)


def _message(body: list[ast.stmt]) -> str:
    """What the error says that these statements end in; nothing where they do not."""
    for statement in body:
        call = statement.value if isinstance(statement, ast.Expr) else None
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "ops.prim.RaiseException":
            return ast.unparse(call.args[0]) if call.args else "an error"
    return ""


def _read_elsewhere(run: Interpreter, node: ast.If, frame: Frame) -> set[str]:
    """Names that the function reads outside of this statement: only they need to leave it."""
    if id(node) not in run.used:
        inside = {id(n) for n in ast.walk(node)}
        run.used[id(node)] = {
            n.id for n in ast.walk(frame.source.node)
            if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load) and id(n) not in inside
        }  # fmt: skip
    return run.used[id(node)]


def count(run: Interpreter, node: ast.For, frame: Frame) -> None:
    """``for i in range(n)``, the only form that the code has."""
    call = node.iter
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "range" and call.args):
        raise UnsupportedError("a loop over something that is no range")
    number = run.value(call.args[-1], frame)
    if isinstance(number, Scalar):
        loops.loop(run, node.body, frame, trips=number, index=node.target)
        return
    if not isinstance(number, int):
        raise UnsupportedError("a loop over something that is no number")
    for turn in range(number):
        run.step(node)
        run.assign(node.target, turn, frame)
        run.block(node.body, frame)


def repeat(run: Interpreter, node: ast.While, frame: Frame) -> None:
    while True:
        run.step(node)
        condition = run.truth(node.test, frame)
        if isinstance(condition, Scalar):
            loops.loop(run, node.body, frame, test=node.test, first=condition)
            return
        if not condition:
            return
        run.block(node.body, frame)
