"""The less frequent opcodes: how their operands are read. Large bytes stay where they are (`Blob`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from modelglot.containers.pickle import opcodes
from modelglot.containers.pickle.operations import Operations
from modelglot.containers.pickle.window import Blob
from modelglot.core.errors import DamagedFileError, InvalidFileError
from modelglot.core.limits import KIB
from modelglot.core.tree import Inert, Node

KEEP = 4 * KIB  # bytes operands above this stay in the file


class Operands(Operations):
    """Every method takes and gives the position in the buffer; ``_stack`` is current."""

    _longest_name, _longest_line = opcodes.MAX_NAME, opcodes.MAX_LINE

    def _rare(self, op: int, data: bytes, base: int, pos: int) -> int:
        stack = self._stack
        if op in opcodes.SIZED:
            return self._sized(op, data, base, pos)
        if op == 0x63 or op == 0x69:  # GLOBAL INST
            module, pos = self._line(data, base, pos, self._longest_name)
            name, pos = self._line(data, base, pos, self._longest_name)
            found = self._global(text(module), text(name))
            if op == 0x69:
                self._stack = self._marks.pop()
                found = self._instance(found, stack)
            self._stack.append(found)
        elif op in _LINES:
            most = self.limits.pickle if op in opcodes.TEXT_LINES else self._longest_line
            line, pos = self._line(data, base, pos, most)
            _LINES[op](self, line)
        elif op in _FIXED:
            width = _FIXED[op]
            self._fixed(op, int.from_bytes(data[pos : pos + width], "little"), base + pos + width)
            pos += width
        elif op in _SIMPLE:
            _SIMPLE[op](self)
        else:
            raise InvalidFileError(
                f"`0x{op:02x}` is not a pickle opcode", hint="the data here is no pickle, or it is damaged"
            )
        return pos

    def _line(self, data: bytes, base: int, pos: int, most: int) -> tuple[bytes, int]:
        end = data.find(b"\n", pos, pos + most)
        if end >= 0:
            return data[pos:end], end + 1
        at, length = base + pos, KEEP
        while True:  # across the end of the buffer, in steps that grow
            length = min(length * 4, most, max(0, self.window.length - at))
            line = self.window.read(at, length)
            end = line.find(b"\n")
            if end >= 0:
                return line[:end], pos + end + 1
            if length == most:
                raise InvalidFileError(f"a line of the pickle is longer than {most:,} bytes")
            if at + length >= self.window.length:
                raise DamagedFileError("a line of the pickle has no end", hint="the file may be incomplete")

    def _sized(self, op: int, data: bytes, base: int, pos: int) -> int:
        width = opcodes.SIZED[op]
        length = int.from_bytes(data[pos : pos + width], "little", signed=op in opcodes.SIGNED)
        at = base + pos + width
        if length < 0 or at + length > self.window.length:
            raise DamagedFileError(
                f"an operand of {length:,} bytes does not fit in the pickle",
                detail=f"{max(0, self.window.length - at):,} bytes are left",
                hint="the file may be incomplete",
            )
        if length > KEEP and op not in opcodes.TEXT and op not in opcodes.INTEGERS:
            self._stack.append(Blob(at, length))
            self._left_out += length
            return pos + width + length
        self.limits.check("pickle", length, "an operand of the pickle")
        raw = data[pos + width : pos + width + length]
        if len(raw) < length:
            raw = self.window.read(at, length)
        value: Any = raw
        if op in opcodes.TEXT:
            value = text(raw)
        elif op in opcodes.INTEGERS:
            value = int.from_bytes(raw, "little", signed=True)
        elif op in opcodes.PYTHON2_TEXT:
            value = opcodes.python2_text(raw)
        self._stack.append(value)
        return pos + width + length

    def _fixed(self, op: int, value: int, after: int) -> None:
        if op == 0x80:  # PROTO
            if value > 5:
                raise InvalidFileError(f"pickle protocol {value} is not known")
            self.protocol = max(self.protocol, value)
        elif op == 0x95:  # FRAME: its length only helps readers that stream
            if after + value > self.window.length:
                raise DamagedFileError(
                    f"a frame of {value:,} bytes does not fit in the pickle", hint="the file may be incomplete"
                )
        else:  # EXT1 EXT2 EXT4
            self._stack.append(self._global("copyreg", f"extension_{value}"))


def text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise InvalidFileError(f"text in the pickle is not UTF-8: {error.reason}") from None


def _int_line(machine: Operations, line: bytes) -> None:
    machine._push(line == b"01" if line in (b"00", b"01") else opcodes.integer(line))


_LINES: dict[int, Callable[[Operations, bytes], Any]] = {
    ord("I"): _int_line,
    ord("L"): lambda m, line: m._push(opcodes.integer(line)),
    ord("F"): lambda m, line: m._push(opcodes.floating(line)),
    ord("S"): lambda m, line: m._push(opcodes.python2_text(opcodes.quoted(line))),
    ord("V"): lambda m, line: m._push(opcodes.escaped(line)),
    ord("P"): lambda m, line: m._push(m.persistent(opcodes.python2_text(line))),
    ord("g"): lambda m, line: m._push(m._taken(opcodes.integer(line))),
    ord("p"): lambda m, line: m._memo.__setitem__(opcodes.integer(line), m._stack[-1]),
}
_FIXED = {0x80: 1, 0x82: 1, 0x83: 2, 0x84: 4, 0x95: 8}
_SIMPLE: dict[int, Callable[[Operations], Any]] = {
    ord("0"): Operations._pop,
    ord("1"): Operations._pop_mark,
    ord("2"): lambda m: m._push(m._stack[-1]),
    ord("a"): Operations._append,
    ord("s"): Operations._setitem,
    ord("d"): Operations._dict,
    ord("l"): lambda m: m._push(Node("list", m._pop_mark())),
    ord("o"): Operations._obj,
    0x81: Operations._newobj,
    0x92: Operations._newobj_ex,
    0x8F: lambda m: m._push(Node("set", [])),
    0x91: lambda m: m._push(Node("frozenset", m._pop_mark())),
    0x93: lambda m: m._stack_global(),  # looked up, as are the others that a tracer replaces
    0x97: lambda m: m._push(Inert("out_of_band_buffer", "called")),
    0x98: lambda m: None,
}
