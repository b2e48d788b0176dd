"""A pickle run symbolically for what it uses: every global with the roles it has, and what only a hostile stream does.

The machine is the converter's own (`modelglot.containers.pickle.machine`): what is flagged here cannot run there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from modelglot.containers.pickle.machine import Machine
from modelglot.containers.pickle.window import Blob, Window
from modelglot.core.errors import ModelFileError
from modelglot.core.limits import Limits
from modelglot.core.tree import Inert, Node

CALLED, MADE, NAMED, STORAGE = "called", "instantiated", "referenced", "storage"
_STREAMS = 1024  # pickles one after another


class Use(NamedTuple):
    """``name`` is ``module.attribute``; ``arguments`` are the first few plain values it is called with."""

    name: str
    role: str
    offset: int
    arguments: tuple[Any, ...] = ()


class Tracer(Machine):
    """Records each (global, role) once, with the offset of the opcode; ``blobs`` are bytes and text operands that may
    be pickles themselves."""

    def __init__(self, window: Window, limits: Limits) -> None:
        super().__init__(window, limits, {}, self._pid)
        self.uses: dict[tuple[str, str], Use] = {}
        self.blobs: list[bytes | Blob] = []

    def _pid(self, pid: Any) -> Inert:
        parts = pid.items if isinstance(pid, Node) else []
        if len(parts) > 1 and parts[0] == "storage" and isinstance(parts[1], Inert):
            self._use(parts[1].global_, STORAGE)
        else:
            self._odd("a persistent id that is no storage")
        return Inert("persistent_id", "called", (pid,))

    def _use(self, name: str, role: str, arguments: tuple[Any, ...] = ()) -> None:
        plain = tuple(a for a in arguments[:4] if isinstance(a, (str, int, float, bytes, Inert)))
        self.uses.setdefault((name, role), Use(name, role, self._at, plain))

    def _global(self, module: str, name: str) -> Inert:
        found = super()._global(module, name)
        self._use(f"{module}.{name}", NAMED)
        return found

    def _reduce(self, function: Any, arguments: Any) -> Any:
        if isinstance(function, Inert) and function.role == "reference":
            self._use(function.global_, CALLED, tuple(arguments.items) if isinstance(arguments, Node) else ())
        self._keep(arguments)
        return super()._reduce(function, arguments)

    def _make(self, cls: Any, arguments: list[Any]) -> Any:
        if isinstance(cls, Inert) and cls.role == "reference":
            self._use(cls.global_, MADE, tuple(arguments))
        self._keep(Node("tuple", list(arguments)))
        return super()._make(cls, arguments)

    def _keep(self, arguments: Any) -> None:
        """Bytes that are handed to a call may be a pickle for another one."""
        for value in arguments.items[:16] if isinstance(arguments, Node) else ():
            if isinstance(value, (bytes, bytearray)) and len(value) > 8:
                self.blobs.append(bytes(value))
            elif isinstance(value, Blob):
                self.blobs.append(value)


class Trace(NamedTuple):
    """``end``: offset after the last whole pickle; ``problem`` is what ended the reading early."""

    uses: tuple[Use, ...]
    oddities: Mapping[str, int]
    blobs: tuple[bytes | Blob, ...]
    end: int
    problem: ModelFileError | None


def trace(window: Window, limits: Limits, start: int = 0) -> Trace:
    """Consecutive pickles from ``start`` on. Never raises for what is in the stream."""
    machine = Tracer(window, limits)
    at, problem = start, None
    for _ in range(_STREAMS):
        if at >= window.length:
            break
        try:
            _, at = machine.run(at)
        except ModelFileError as error:
            problem = error
            break
    return Trace(tuple(machine.uses.values()), machine.oddities, tuple(machine.blobs), at, problem)
