"""Writes pickles of protocol 2 from trees: only opcodes and globals that ``torch.load(weights_only=True)`` takes.

Iterative, and the same bytes for the same tree. A container that occurs twice is written once and fetched again.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from modelglot.core.errors import InvalidFileError
from modelglot.core.tree import Inert, Node, TensorRef

_TEXT = struct.Struct("<BI").pack  # an opcode and its 32-bit operand
_BATCH = 1000  # items between MARK and APPENDS or SETITEMS, as CPython writes them
_KINDS = {"ordereddict": "collections\nOrderedDict", "counter": "collections\nCounter", "set": "__builtin__\nset",
          "frozenset": "__builtin__\nset"}  # fmt: skip


class Emitter:
    """``tensor`` writes a tensor by its name with the emitter's own methods; ``drop`` marks values to leave out."""

    def __init__(self, tensor: Callable[[Emitter, str], None]) -> None:
        self.out = bytearray(b"\x80\x02")
        self._tensor = tensor
        self._memo: dict[Any, int] = {}
        self._shared: dict[int, int] = {}
        self._open: set[int] = set()

    def finish(self, tree: Any) -> bytes:
        """The stream of one value. Raises InvalidFileError for what protocol 2 cannot say (a tuple inside itself)."""
        stack: list[Any] = [("value", tree)]
        while stack:
            kind, value = stack.pop()
            if type(value) is str:  # a key or a text, nearly always
                self.text(value)
            elif type(value) is TensorRef:
                self._tensor(self, value.name)
            elif kind == "code":
                self.out += value
            elif kind == "close":
                self._open.discard(value)
            elif kind == "memo":
                self._open.discard(id(value))
                self._shared[id(value)] = self._put()
            elif isinstance(value, Node):
                self._node(value, stack)
            elif isinstance(value, Inert):
                self._inert(value, stack)
            else:
                self.scalar(value)
        return bytes(self.out + b".")

    def fetching(self) -> Emitter:
        """Another with the same memo and nothing written: what was written before, it fetches."""
        other = Emitter(self._tensor)
        other.out, other._memo, other._shared = bytearray(), self._memo, self._shared
        return other

    def _node(self, node: Node, stack: list[Any]) -> None:
        known = self._shared.get(id(node))
        if known is not None:
            self.get(known)
            return
        if node.kind == "tuple":
            if id(node) in self._open:
                raise InvalidFileError("a tuple that contains itself cannot be written")
            self._open.add(id(node))
            self.out += b"("
            stack.append(("memo", node))
            stack.append(("code", b"t"))
            stack.extend(("value", item) for item in reversed(node.items))
            return
        if node.kind in ("set", "frozenset"):  # set([...]): the items come before the object
            self.global_(_KINDS[node.kind])
            self.out += b"]("
            stack.append(("memo", node))
            stack.append(("code", b"e\x85R"))
            stack.extend(("value", item) for item in reversed(node.items))
            return
        mapping = node.is_mapping
        if node.kind in _KINDS:
            self.global_(_KINDS[node.kind])
            self.out += b")R"
        else:
            self.out += b"}" if mapping else b"]"
        self._shared[id(node)] = self._put()
        attributes = getattr(node, "attributes", None)
        if isinstance(attributes, Node) and attributes.is_mapping and node.kind == "ordereddict":
            stack.append(("code", b"b"))
            stack.append(("value", attributes))
        end = b"u" if mapping else b"e"
        starts = range(0, len(node.items), _BATCH)
        for start in reversed(starts):
            stack.append(("code", end))
            for item in reversed(node.items[start : start + _BATCH]):
                if mapping:
                    stack.append(("value", item[1]))
                    stack.append(("value", item[0]))
                else:
                    stack.append(("value", item))
            stack.append(("code", b"("))

    def _inert(self, value: Inert, stack: list[Any]) -> None:
        """Only what the caller let through: references such as torch.float32, calls such as torch.Size((1, 2)), objects
        of plain classes with their state."""
        module, _, name = value.global_.rpartition(".")
        self.global_(f"{module}\n{name}")
        if value.role == "object":
            self.out += b")\x81"
            stack.append(("code", b"b"))
            stack.append(("value", value.state))
        if value.role == "called":
            self.out += b"("
            stack.append(("code", b"tR"))
            stack.extend(("value", item) for item in reversed(value.args))

    def scalar(self, value: Any) -> None:
        """None, bool, int, float, complex, str or bytes."""
        if value is None or value is True or value is False:
            self.out += {None: b"N", True: b"\x88", False: b"\x89"}[value]
        elif isinstance(value, int):
            self.integer(value)
        elif isinstance(value, float):
            self.out += b"G" + struct.pack(">d", value)
        elif isinstance(value, str):
            self.text(value)
        elif isinstance(value, bytes):
            self.global_("_codecs\nencode")
            self.out += b"("
            self.text(value.decode("latin-1"))
            self.text("latin1")
            self.out += b"tR"
        elif isinstance(value, complex):
            self.global_("__builtin__\ncomplex")
            self.out += b"G" + struct.pack(">d", value.real) + b"G" + struct.pack(">d", value.imag) + b"\x86R"
        else:
            raise InvalidFileError(f"a value of type `{type(value).__name__}` cannot be written")

    def integer(self, value: int) -> None:
        if 0 <= value < 256:
            self.out += b"K%c" % value
        elif 0 <= value < 65536:
            self.out += b"M" + value.to_bytes(2, "little")
        elif -(1 << 31) <= value < 1 << 31:
            self.out += b"J" + value.to_bytes(4, "little", signed=True)
        else:
            raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            if len(raw) > 255:
                raise InvalidFileError(f"a number of {len(raw):,} bytes cannot be written")
            self.out += b"\x8a%c" % len(raw) + raw

    def text(self, value: str) -> None:
        """Short texts are written once and fetched again."""
        known = self._memo.get(value)
        if known is not None:
            self.get(known)
            return
        raw = value.encode("utf-8", "surrogatepass")
        self.out += _TEXT(0x58, len(raw)) + raw
        if len(value) < 200:
            self._memo[value] = self._put()

    def global_(self, module_and_name: str) -> None:
        """``module``, a newline, ``name``."""
        key = ("global", module_and_name)
        known = self._memo.get(key)
        if known is not None:
            self.get(known)
            return
        self.out += b"c" + module_and_name.encode() + b"\n"
        self._memo[key] = self._put()

    def naturals(self, values: tuple[int, ...]) -> None:
        """A tuple of integers."""
        self.out += b"("
        for value in values:
            self.integer(value)
        self.out += b"t"

    def get(self, number: int) -> None:
        self.out += b"h%c" % number if number < 256 else b"j" + number.to_bytes(4, "little")

    def _put(self) -> int:
        number = len(self._memo) + len(self._shared)
        self.out += b"q%c" % number if number < 256 else _TEXT(0x72, number)
        return number
