"""The converter's pickle machine, made to go on where either of CPython's would, and to record what a stream uses.

CPython has two machines, in C and in Python, and they differ: in frames, in what REDUCE takes for arguments, in what
items may be set in. The tracer accepts what one of them accepts; each place where they part is an oddity.
"""

from __future__ import annotations

from typing import Any

from modelglot.containers.pickle.allowlist import folded
from modelglot.containers.pickle.machine import Machine
from modelglot.containers.pickle.window import Blob, Window
from modelglot.core.errors import DamagedFileError, LimitError
from modelglot.core.limits import Limits
from modelglot.core.tree import Inert, Node
from modelglot.features.scan.arrays_between import WRAPPER, array_bytes
from modelglot.features.scan.roles import CALLED, CAREFUL, CODE, MADE, NAMED, PASSES, SIZED, STORAGE, Use

COMPUTED_NAME = "a global is named by a computed value"
ITEMS_OF_GLOBAL = "items are set on a global"
_LOOKED_AT = CAREFUL | CODE | SIZED  # every call, not only the first
_BLOBS, _CALLS = 4096, 10_000
_LONGEST = 1 << 20  # of an argument that is kept
_NESTED = 16  # object arrays of joblib inside object arrays
_PACKED_TEXT = (  # how base64, hexadecimal and latin-1 text of a pickle or of compressed data begin
    "gA", "eJ", "eN", "eA", "H4sI", "Qlpo", "/Td6", "UEsD", "Y2", "KG", "8002", "8003", "8004", "8005", "\x80",
)  # fmt: skip


class Tracer(Machine):
    """Records each (global, role) once, with the offset of the opcode; ``blobs`` are bytes and text operands that may
    be pickles themselves."""

    def __init__(self, window: Window, limits: Limits, depth: int = 0) -> None:
        super().__init__(window, limits, {}, self._pid)
        self._longest_name = self._longest_line = limits.pickle
        self.uses: dict[tuple[Any, ...], Use] = {}
        self.blobs: dict[Blob | bytes | str, None] = {}
        self._plain: set[str] = set()  # names whose calls were recorded, and whose arguments do not matter
        self._frame_end = 0
        self._cut: tuple[str | None, str | None] = (None, None)  # the last two lines, where a frame ends in them
        self._depth = depth

    # What is used.

    def _use(self, name: str, role: str, arguments: tuple[Any, ...] = ()) -> None:
        key: tuple[Any, ...] = (name, role)
        if folded(name) in _LOOKED_AT and role == CALLED and len(self.uses) < _CALLS:
            key = (name, role, *(getattr(a, "global_", a) for a in arguments[:4] if isinstance(a, (str, int, Inert))))
        if key not in self.uses:
            self.uses[key] = Use(name, role, self._at, tuple(map(_shown, arguments[:4])))

    def _global(self, module: str, name: str) -> Inert:
        found = super()._global(module, name)
        if (found.global_, NAMED) not in self.uses:
            self._use(found.global_, NAMED)
        if self._cut[0] is not None or self._cut[1] is not None:
            self._use(f"{self._cut[0] or module}.{self._cut[1] or name}", NAMED)
            self._cut = (None, None)
        return found

    def _stack_global(self) -> None:
        name, module = self._stack[-1], self._stack[-2]
        if isinstance(name, str) and isinstance(module, str):
            return super()._stack_global()
        if not isinstance(name, (str, Inert)) or not isinstance(module, (str, Inert)):
            return super()._stack_global()  # both machines stop
        del self._stack[-2:]
        self._odd(COMPUTED_NAME)
        known = "?".join(part if isinstance(part, str) else "" for part in (module, name))
        self._stack.append(Inert(f"{known}?", "reference"))

    def _reduce(self, function: Any, arguments: Any) -> Any:
        if not isinstance(arguments, Node):  # the machine in Python unpacks whatever can be unpacked
            arguments = Node("iterable", list(arguments) if isinstance(arguments, str) else [arguments])
        if isinstance(function, Inert) and function.role == "reference":
            self._called(function.global_, arguments.items)
        self._keep(arguments.items)
        return super()._reduce(function, arguments)

    def _called(self, name: str, arguments: list[Any]) -> None:
        if name in self._plain:
            return
        known = folded(name)
        if known in CODE:
            arguments = _code(arguments)
        elif known not in _LOOKED_AT and known not in PASSES:
            self._plain.add(name)
        self._use(name, CALLED, tuple(arguments))
        for position, role in PASSES.get(known, ()):
            passed = arguments[position] if position < len(arguments) else None
            if not isinstance(passed, Inert) or folded(passed.global_) == "builtins.object":
                continue
            if passed.role == "reference":
                self._use(passed.global_, role)
            elif name.startswith("torch."):  # others are given instances, which they do not call
                self._odd("a computed value is called")

    def _make(self, cls: Any, arguments: list[Any]) -> Any:
        if isinstance(cls, Inert) and cls.role == "reference":
            self._use(cls.global_, MADE, tuple(arguments))
        self._keep(arguments)
        return super()._make(cls, arguments)

    def _instance(self, cls: Any, arguments: list[Any]) -> Any:
        if arguments and isinstance(cls, Inert) and cls.role == "reference":
            self._called(cls.global_, arguments)
        return self._make(cls, arguments)

    def _pid(self, pid: Any) -> Any:
        """A storage, a number of one, or in files of old versions a class with its source."""
        parts = pid.items if isinstance(pid, Node) else []
        cls = parts[1] if len(parts) > 1 and parts[0] in ("storage", "module") else parts[0] if parts else None
        if isinstance(cls, Inert) and cls.role == "reference":
            if parts[0] != "storage":
                return cls
            self._use(cls.global_, STORAGE)
        elif not (isinstance(pid, int) or (isinstance(pid, str) and pid.isdigit())):
            self._odd("a persistent id that is no storage")
        return Inert("persistent_id", "called", (pid,))

    def _keep(self, values: list[Any]) -> None:
        """Bytes and text that may hold a pickle for a call that takes them."""
        for value in values[:64]:
            packed = isinstance(value, bytes) or (isinstance(value, str) and value.startswith(_PACKED_TEXT))
            if (isinstance(value, Blob) or (packed and len(value) > 8)) and len(self.blobs) < _BLOBS:
                self.blobs[value] = None

    # Where one of the machines goes on.

    def _line(self, data: bytes, base: int, pos: int, most: int) -> tuple[bytes, int]:
        """The machine in C forgets the part of a line that lies in the frame before, where it reads a file. The one
        in Python takes a last line without its end, and leaves out the last byte.
        """
        try:
            line, after = super()._line(data, base, pos, most)
        except DamagedFileError:
            left = max(0, self.window.length - base - pos)
            line, after = self.window.read(base + pos, left)[:-1] if left else b"", pos + left
        rest = self._frame_end - (base + pos)
        half = line[rest:].decode("utf-8", "replace") if 0 < rest <= len(line) else None
        if half is not None:
            self._odd("a line that a frame cuts in two, of which one machine takes the rest")
            if not _is_text(line):
                line, half = line[rest:], None  # that machine alone goes on
        self._cut = (self._cut[1], half)
        return line, after

    def _build(self, value: Any, state: Any) -> Any:
        built = super()._build(value, state)
        self._after = 0
        if isinstance(value, Inert) and value.global_ == WRAPPER:
            self._after = array_bytes(value, self.window, self._at + 1, self._objects)
            self._left_out += self._after
        return built

    def _objects(self, at: int) -> int:
        """The pickle of an object array that lies between two opcodes: the offset after it."""
        if self._depth >= _NESTED:
            raise LimitError(f"more than {_NESTED} arrays of objects in one another", offset=at)
        inner = Tracer(self.window, self.limits, self._depth + 1)
        inner.uses, inner.oddities, inner.blobs = self.uses, self.oddities, self.blobs
        return inner.run(at)[1]

    def _extend(self, value: Any, added: list[Any], *, pairs: bool) -> None:
        self._keep(added)
        if isinstance(value, Inert) and value.role == "reference":
            self._odd(ITEMS_OF_GLOBAL)
        if isinstance(value, (bytes, bytearray, Blob)):
            return self._odd("items are added to a bytearray")
        if pairs and isinstance(value, Node) and value.kind == "list" and len(added) % 2 == 0:
            self._odd("items of a list are set by number")
            value.items.extend(added)
            return None
        return super()._extend(value, added, pairs=pairs)

    def _fixed(self, op: int, value: int, after: int) -> None:
        if op != 0x95:
            if op == 0x80 and after - 2 != self._start and value <= 5:
                self._odd("PROTO in the middle of a pickle")
            return super()._fixed(op, value, after)
        if after < self._frame_end or after + value > self.window.length or self.protocol < 4:
            self._odd("a frame that machines read differently")
        self._frame_end = max(self._frame_end, after + value)
        return None

    def run(self, start: int = 0) -> tuple[Any, int]:
        self._frame_end = 0
        value, end = super().run(start)
        if self._frame_end > end:
            self._at = end
            self._odd("a frame that machines read differently")
        return value, end

    def _sized(self, op: int, data: bytes, base: int, pos: int) -> int:
        after = super()._sized(op, data, base, pos)
        value = self._stack[-1]
        if isinstance(value, Blob) or (isinstance(value, bytes) and len(value) > 8):
            self._keep([value])
        return after


def _code(arguments: list[Any]) -> list[Any]:
    """The texts that a function compiles: its own arguments, and `code` in the state that it is given."""
    texts: list[Any] = [a for a in arguments if isinstance(a, str)]
    for body in arguments:
        if isinstance(body, Node) and body.is_mapping:
            texts += [body.get(key) for key in ("_code", "code") if body.get(key) is not None]
    return texts or [None]


def _is_text(line: bytes) -> bool:
    try:
        return bool(line.decode())
    except UnicodeDecodeError:
        return False


def _shown(value: Any) -> Any:
    """An argument as a finding shows it, or None."""
    if isinstance(value, (str, bytes)):
        return value[:_LONGEST]
    return value if isinstance(value, (int, float, Inert)) else None
