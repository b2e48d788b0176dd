"""What opcodes do to the stack once their operands are known. Values are described; nothing is looked up or called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from modelglot.containers.pickle.values import UNKNOWN, Attributed, Handler, Late, Leaf
from modelglot.containers.pickle.window import Window
from modelglot.core.errors import InvalidFileError
from modelglot.core.limits import Limits
from modelglot.core.tree import Inert, Node

# (buffer, position after the GET, memo) -> (what the call makes, position after it), or None to go step by step
Shortcut = Callable[[bytes, int, dict[int, Any]], tuple[Any, int] | None]


class Operations:
    """The stack, the marks and the memo of a machine, and the opcodes that build values of them.

    ``handlers`` interpret calls, ``persistent`` persistent ids; ``shortcut`` is a global and what is tried after
    it. ``globals`` collects every global that is named, with the offset of the opcode that names it; ``oddities`` what
    only a hostile or broken stream does.
    """

    def __init__(
        self,
        window: Window,
        limits: Limits,
        handlers: Mapping[str, Handler],
        persistent: Callable[[Any], Any] | None = None,
        shortcut: tuple[str, Shortcut] | None = None,
    ) -> None:
        self.window = window
        self.limits = limits
        self.handlers = handlers
        self.persistent = persistent or (lambda pid: Inert("persistent_id", "called", (pid,)))
        self.globals: dict[str, int] = {}
        self.oddities: dict[str, int] = {}
        self.protocol = 0
        self._shortcut_name = shortcut[0] if shortcut else ""
        self._shortcut: Shortcut | None = shortcut[1] if shortcut else None
        self._trigger: Inert | None = None  # the reference after which the shortcut is tried, once it was named
        self._references: dict[str, Inert] = {}
        self._left_out = 0  # bytes of large operands, which no limit on opcodes counts
        self._stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._at = 0

    def _stack_global(self) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise InvalidFileError("a global is named by something that is not text")
        self._stack.append(self._global(module, name))

    def _global(self, module: str, name: str) -> Inert:
        text = f"{module}.{name}"
        found = self._references.get(text)
        if found is None:
            found = self._references[text] = Inert(text, "reference")
            self.globals[text] = self._at
            if text == self._shortcut_name:
                self._trigger = found
        return found

    def _taken(self, number: int) -> Any:
        """What the memo has under a number. Raises KeyError."""
        value = self._memo[number]
        if isinstance(value, Late):
            value.settle(self._memo)
            value = self._memo[number]
        return value

    def _reduce(self, function: Any, arguments: Any) -> Any:
        """A call that is described. Only exact names in the table mean something."""
        if not isinstance(arguments, Node) or arguments.kind != "tuple":
            self._odd("REDUCE with arguments that are not a tuple")
            arguments = Node("tuple", [arguments])
        if type(function) is not Inert or function.role != "reference":
            self._odd("a computed value is called")
            name = function.global_ if isinstance(function, Inert) else type(function).__name__
            return Inert(f"{name}()", "called", (function, *arguments.items))
        handler = self.handlers.get(function.global_)
        if handler is not None:
            made = handler(arguments.items)
            if made is not UNKNOWN:
                return made
        return Inert(function.global_, "called", tuple(arguments.items))

    def _make(self, cls: Any, arguments: list[Any]) -> Any:
        """An instance: NEWOBJ, OBJ, INST."""
        if type(cls) is not Inert or cls.role != "reference":
            self._odd("an instance is made of a computed value")
            name = cls.global_ if isinstance(cls, Inert) else type(cls).__name__
            return Inert(f"{name}()", "object", (cls, *arguments))
        handler = self.handlers.get(cls.global_)
        if handler is not None:
            made = handler(arguments)
            if made is not UNKNOWN:
                return made
        return Inert(cls.global_, "object", tuple(arguments))

    def _instance(self, cls: Any, arguments: list[Any]) -> Any:
        """OBJ and INST, which call what they are given where there are arguments."""
        return self._make(cls, arguments)

    def _build(self, value: Any, state: Any) -> Any:
        if isinstance(value, Inert):
            if value.role == "reference":
                self._odd("BUILD on a global")
            elif value.state is None:
                value.state = state
            else:
                self._odd("BUILD twice on one object")
                value.items.append(state)
        elif isinstance(value, Leaf):
            value.build(state)
        elif isinstance(value, Attributed):
            value.attributes = state
        else:
            self._odd("BUILD on a value without attributes")
        return value

    def _extend(self, value: Any, added: list[Any], *, pairs: bool) -> None:
        if not isinstance(value, (Node, Inert)):
            raise InvalidFileError("items are added to a value that is not a container")
        if not pairs:
            if isinstance(value, Node) and value.is_mapping:
                raise InvalidFileError(f"values without keys are added to a {value.kind}")
            value.items.extend(added)
            return
        if len(added) % 2:
            raise InvalidFileError("a key without a value")
        if isinstance(value, Node) and not value.is_mapping:
            raise InvalidFileError(f"keys and values are set in a {value.kind}")
        rest = iter(added)
        value.items.extend(zip(rest, rest, strict=True))

    def _odd(self, what: str) -> None:
        self.oddities.setdefault(what, self._at)

    # Opcodes without operand.

    def _pop(self) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._stack = self._marks.pop()

    def _pop_mark(self) -> list[Any]:
        values, self._stack = self._stack, self._marks.pop()
        return values

    def _append(self) -> None:
        value = self._stack.pop()
        self._extend(self._stack[-1], [value], pairs=False)

    def _setitem(self) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._extend(self._stack[-1], [key, value], pairs=True)

    def _dict(self) -> None:
        values, made = self._pop_mark(), Node("dict", [])
        self._extend(made, values, pairs=True)
        self._stack.append(made)

    def _newobj(self) -> None:
        arguments = self._stack.pop()
        arguments = arguments.items if isinstance(arguments, Node) else [arguments]
        self._stack[-1] = self._make(self._stack[-1], arguments)

    def _newobj_ex(self) -> None:
        keywords = self._stack.pop()
        arguments = self._stack.pop()
        arguments = arguments.items if isinstance(arguments, Node) else [arguments]
        more = [keywords] if not isinstance(keywords, Node) or keywords.items else []
        self._stack[-1] = self._make(self._stack[-1], [*arguments, *more])

    def _obj(self) -> None:
        values = self._pop_mark()
        self._stack.append(self._instance(values[0], values[1:]))

    def _push(self, value: Any) -> None:
        self._stack.append(value)
