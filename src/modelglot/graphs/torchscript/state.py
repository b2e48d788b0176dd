"""What the code changes as it goes: tensors in place, attributes, lists. Every change is undone where a branch ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from modelglot.core.errors import UnsupportedError
from modelglot.graphs.torchscript.values import Cell, Object, Unknown

_PERHAPS = "a tensor is changed in place, and what is read later is a copy or a view of it, as memory happens to lie"
Place = tuple[int, str]  # identity of what was changed, and the attribute


@dataclass(slots=True)
class Change:
    """``old`` and, once a branch is over, ``new``: an ``onnx_ir.Value`` of a cell, a value of an attribute, items."""

    owner: Any
    attribute: str
    old: Any
    new: Any = None


@dataclass(slots=True)
class State:
    logs: list[dict[Place, Change]] = field(default_factory=list)

    def read(self, cell: Cell) -> Any:
        """The value of a tensor now: a view is made again where its base changed."""
        if cell.why is not None:
            raise UnsupportedError(cell.why)
        if cell.base is not None and cell.remake is not None:
            self.read(cell.base)
            if cell.seen != cell.base.version:
                if cell.perhaps:
                    raise UnsupportedError(_PERHAPS)
                self._note(cell, "value", cell.value)
                cell.value = cell.remake()
                cell.seen = cell.base.version
                cell.version += 1
        return cell.value

    def store(self, cell: Cell, value: Any) -> None:
        """A new value in place, through a view into its base. Raises UnsupportedError where a view cannot."""
        if cell.base is not None:
            if cell.perhaps:
                self.read(cell)
                self._part(cell)
                return self._put(cell, "value", value)
            if cell.write is None:
                raise UnsupportedError("a view of this kind is changed in place")
            self.read(cell)
            self.store(cell.base, cell.write(value))
            self._note(cell, "value", cell.value)
            cell.seen = cell.base.version
        self._put(cell, "value", value)

    def _part(self, cell: Cell) -> None:
        """From now on a tensor of its own; what it was perhaps a view of is not read any more."""
        base = cell.base
        while base is not None:
            self._note(base, "why", base.why)
            base.why, base.version = _PERHAPS, base.version + 1
            base = base.base
        self._note(cell, "base", cell.base)
        cell.base = None

    def assign(self, owner: Object, name: str, value: Any) -> None:
        self._note(owner, name, owner.attributes.get(name, Unknown(f"`{name}` was not set")))
        owner.attributes[name] = value

    def touch(self, items: Any) -> None:
        """A list or dict is about to be changed."""
        self._note(items, "items", items.copy())

    def _note(self, owner: Any, attribute: str, old: Any) -> None:
        if self.logs:
            self.logs[-1].setdefault((id(owner), attribute), Change(owner, attribute, old))

    def _put(self, cell: Cell, attribute: str, value: Any) -> None:
        self._note(cell, attribute, getattr(cell, attribute))
        setattr(cell, attribute, value)
        cell.version += 1

    @contextmanager
    def branch(self) -> Iterator[dict[Place, Change]]:
        """Changes made inside are in the dict, and undone, when it is over."""
        log: dict[Place, Change] = {}
        self.logs.append(log)
        try:
            yield log
        finally:
            self.logs.pop()
            for change in log.values():
                change.new = current(change)
                restore(change, change.old)

    def again(self, change: Change, value: Any) -> None:
        """Make a change that was undone, with the value that both ways agree on."""
        if isinstance(change.owner, Cell):
            self._put(change.owner, change.attribute, value)
        elif isinstance(change.owner, Object):
            self.assign(change.owner, change.attribute, value)
        else:
            self.touch(change.owner)
            restore(change, value)


def check_merged(change: Change) -> None:
    """Whether a tensor is a view cannot depend on a value. Raises UnsupportedError."""
    if isinstance(change.owner, Cell) and change.attribute != "value":
        raise UnsupportedError(_PERHAPS)


def current(change: Change) -> Any:
    owner = change.owner
    if isinstance(owner, Cell):
        return getattr(owner, change.attribute)
    return owner.attributes.get(change.attribute) if isinstance(owner, Object) else owner.copy()


def restore(change: Change, value: Any) -> None:
    owner = change.owner
    if isinstance(owner, Cell):
        setattr(owner, change.attribute, value)
        owner.version += 1
        if owner.base is not None:
            owner.seen = owner.base.version
    elif isinstance(owner, Object):
        owner.attributes[change.attribute] = value
    elif isinstance(owner, dict):
        owner.clear()
        owner.update(value)
    else:
        owner[:] = value


def reachable(values: Iterable[Any]) -> set[int]:
    """Identities of all that values lead to: what was made elsewhere and is not among them is gone with its branch."""
    found: set[int] = set()
    stack = list(values)
    while stack:
        value = stack.pop()
        if id(value) in found or not isinstance(value, (Cell, Object, list, tuple, dict)):
            continue
        found.add(id(value))
        if isinstance(value, Cell):
            stack.append(value.base)
        elif isinstance(value, Object):
            stack += value.attributes.values()
        else:
            stack += value.values() if isinstance(value, dict) else value
    return found
