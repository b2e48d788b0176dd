"""A pickle machine that builds inert values. Nothing is imported and nothing is called, whatever the stream says.

Containers become `Node`, globals and what is made of them `Inert`, numbers and text themselves. A table of handlers,
one per exact ``module.name``, may give a meaning to a call (`plain`, `arrays`, `torch_tensors`). Time and memory are
proportional to the opcodes read; nothing recurses. Specification: the pickle language, protocols 0 to 5.
"""

from __future__ import annotations

from struct import Struct
from typing import Any

from modelglot.containers.pickle.operands import Operands, text
from modelglot.containers.pickle.values import Late
from modelglot.core.errors import DamagedFileError, InvalidFileError, LimitError, ModelFileError
from modelglot.core.limits import KIB, MIB
from modelglot.core.tree import Node

_SLACK = 8 * KIB  # more than any operand that is decoded in place
_F64, _U32, _I32 = Struct(">d"), Struct("<I"), Struct("<i")


class Machine(Operands):
    """Runs streams out of one window; see `Operations` for what it collects."""

    _chunk = 64 * KIB
    _start = 0
    _expected = -1
    _after = 0  # bytes between this BUILD and the next opcode, which only a tracer sets

    def run(self, start: int = 0) -> tuple[Any, int]:
        """The value of the stream that starts at ``start``, and the offset after its STOP.

        Raises DamagedFileError where it is cut off, InvalidFileError where it is no pickle, LimitError; all with the
        offset of the opcode in the window.
        """
        self._stack, self._marks, self._memo, self._at = [], [], {}, start
        self._start, self._left_out, self._expected = start, 0, -1
        return self._loop(start)

    def _loop(self, start: int) -> tuple[Any, int]:  # one long loop: a call per opcode would double the time
        stack, marks, memo, reduce, empty = self._stack, self._marks, self._memo, self._reduce, Node("tuple", [])
        data, base, pos, edge, here = b"", start, 0, 0, 0
        u32, persistent, shortcut, trigger = _U32.unpack_from, self.persistent, self._shortcut, self._trigger
        try:
            for _ in range(self.limits.pickle_opcodes):
                if pos >= edge:
                    here = pos
                    data, base, pos, edge = self._fill(base + pos)
                here = pos
                op = data[pos]
                pos += 1
                if op == 0x72:  # LONG_BINPUT
                    memo[u32(data, pos)[0]] = stack[-1]
                    pos += 4
                elif op == 0x4B:  # BININT1
                    stack.append(data[pos])
                    pos += 1
                elif op == 0x68 or op == 0x6A:  # BINGET LONG_BINGET
                    number, pos = (data[pos], pos + 1) if op == 0x68 else (u32(data, pos)[0], pos + 4)
                    value = memo[number]
                    if value is trigger and shortcut and (taken := shortcut(data, pos, memo)):
                        value, pos = taken
                    elif isinstance(value, Late):
                        value = self._taken(number)
                    stack.append(value)
                elif op == 0x28:  # MARK
                    marks.append(stack)
                    stack = []
                elif op == 0x74:  # TUPLE
                    made = Node("tuple", stack)
                    stack = marks.pop()
                    stack.append(made)
                elif op == 0x58 and (end := pos + 4 + u32(data, pos)[0]) <= edge:  # BINUNICODE
                    stack.append(text(data[pos + 4 : end]))
                    pos = end
                elif op == 0x85:  # TUPLE1
                    stack[-1] = Node("tuple", [stack[-1]])
                elif op == 0x52:  # REDUCE
                    self._at = base + here
                    arguments = stack.pop()
                    stack[-1] = reduce(stack[-1], arguments)
                elif op == 0x71:  # BINPUT
                    memo[data[pos]] = stack[-1]
                    pos += 1
                elif op == 0x29:  # EMPTY_TUPLE
                    stack.append(empty)
                elif op == 0x51:  # BINPERSID
                    stack[-1] = persistent(stack[-1])
                elif op == 0x86:  # TUPLE2
                    made = stack.pop()
                    stack[-1] = Node("tuple", [stack[-1], made])
                elif op == 0x87:  # TUPLE3
                    made, stack[-3:] = Node("tuple", stack[-3:]), []
                    if len(made.items) < 3:
                        raise IndexError
                    stack.append(made)
                elif op == 0x4D:  # BININT2
                    stack.append(data[pos] | data[pos + 1] << 8)
                    pos += 2
                elif op == 0x89:  # NEWFALSE
                    stack.append(False)
                elif op == 0x88:  # NEWTRUE
                    stack.append(True)
                elif op == 0x4A:  # BININT
                    stack.append(_I32.unpack_from(data, pos)[0])
                    pos += 4
                elif op == 0x94:  # MEMOIZE
                    memo[len(memo)] = stack[-1]
                elif op == 0x8C and (end := pos + 1 + data[pos]) <= edge:  # SHORT_BINUNICODE
                    stack.append(text(data[pos + 1 : end]))
                    pos = end
                elif op == 0x4E:  # NONE
                    stack.append(None)
                elif op == 0x47:  # BINFLOAT
                    stack.append(_F64.unpack_from(data, pos)[0])
                    pos += 8
                elif op == 0x7D:  # EMPTY_DICT
                    stack.append(Node("dict", []))
                elif op == 0x5D:  # EMPTY_LIST
                    stack.append(Node("list", []))
                elif op == 0x75 or op == 0x65 or op == 0x90:  # SETITEMS APPENDS ADDITEMS
                    values = stack
                    stack = marks.pop()
                    self._extend(stack[-1], values, pairs=op == 0x75)
                elif op == 0x62:  # BUILD
                    self._at = base + here
                    state = stack.pop()
                    stack[-1] = self._build(stack[-1], state)
                    pos += self._after
                elif op == 0x2E:  # STOP
                    if base + pos > self.window.length:
                        self._fill(base + pos)
                    return stack[-1], base + pos
                else:
                    self._stack, self._at = stack, base + here
                    pos = self._rare(op, data, base, pos)
                    stack, trigger = self._stack, self._trigger
            raise LimitError(
                f"the pickle has more than {self.limits.pickle_opcodes:,} opcodes",
                hint="if the file is trusted, raise the limit `pickle_opcodes`",
            )
        except ModelFileError as error:
            error.offset = base + here if error.offset is None else error.offset
            raise
        except IndexError:
            raise InvalidFileError("a pickle opcode needs more values than the stack has", offset=base + here) from None
        except KeyError as error:
            number = error.args[0]  # Python does not print integers of thousands of digits
            shown = f"{number}" if abs(number) < 1 << 64 else "of a number past 64 bits"
            what = f"the pickle takes memo {shown}, which nothing put"
            raise InvalidFileError(what, offset=base + here) from None

    def _fill(self, at: int) -> tuple[bytes, int, int, int]:
        """Buffer, its offset, position 0, and the position up to which opcodes can be decoded from it.

        The end of the stream is padded with zeros: an operand that is cut off moves the position past the end, which
        is noticed here before anything is made of it.
        """
        left = self.window.length - at
        if left <= 0:
            raise DamagedFileError(
                "the pickle ends without its STOP",
                offset=min(at, self.window.length),
                hint="the file may be incomplete",
            )
        self._chunk = min(self._chunk * 2, 4 * MIB) if at <= self._expected else 64 * KIB
        length = min(left, self._chunk)
        self.limits.check("pickle", at - self._start - self._left_out, "the pickle without its large operands")
        data = self.window.read(at, length)
        self._expected = at + length
        if length == left:
            return data + bytes(16), at, 0, length
        return data, at, 0, length - _SLACK
