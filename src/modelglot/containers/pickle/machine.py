"""A pickle machine that builds inert values. Nothing is imported and nothing is called, whatever the stream says.

Containers become `Node`, globals and what is made of them `Inert`, numbers and text themselves. A table of handlers,
one per exact ``module.name``, may give a meaning to a call (`plain`, `arrays`, `torch_tensors`). Time and memory are
proportional to the opcodes read; nothing recurses. Specification: the pickle language, protocols 0 to 5.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from struct import Struct
from typing import Any

from modelglot.containers.pickle import opcodes
from modelglot.containers.pickle.window import Blob, Window
from modelglot.core.errors import DamagedFileError, InvalidFileError, LimitError, ModelFileError
from modelglot.core.limits import KIB, MIB, Limits
from modelglot.core.tree import Inert, Node

UNKNOWN = object()  # what a handler returns for arguments it does not understand
Handler = Callable[[list[Any]], Any]
KEEP = 4 * KIB  # bytes operands above this stay in the file
_SLACK = 8 * KIB  # more than any operand that is decoded in place
_F64, _U16, _U32, _I32 = Struct(">d"), Struct("<H"), Struct("<I"), Struct("<i")


class Leaf:
    """A tensor-like value that waits for its name."""

    __slots__ = ()

    def build(self, state: Any) -> None:
        """What BUILD gives: ignored unless a kind of leaf takes it."""

    def companions(self) -> list[tuple[str, Leaf]]:
        """(suffix, leaf) of tensors that belong to this one."""
        return []

    def finish(self, name: str) -> Any:
        """The `Tensor` under its name; or another value, where it turns out not to be a tensor that is understood."""
        raise NotImplementedError


class Attributed(Node):
    """A container with attributes, such as the ``_metadata`` on the OrderedDict of a state dict."""

    __slots__ = ("attributes",)

    def __init__(self, kind: str, items: list[Any]) -> None:
        super().__init__(kind, items)
        self.attributes: Any = None


class Machine:
    """Runs streams out of one window.

    ``handlers`` interpret calls, ``persistent`` persistent ids. ``globals`` collects every global that is named, with
    the offset of the opcode that names it; ``oddities`` what only a hostile or broken stream does.
    """

    def __init__(
        self,
        window: Window,
        limits: Limits,
        handlers: Mapping[str, Handler],
        persistent: Callable[[Any], Any] | None = None,
    ) -> None:
        self.window = window
        self.limits = limits
        self.handlers = handlers
        self.persistent = persistent or (lambda pid: Inert("persistent_id", "called", (pid,)))
        self.globals: dict[str, int] = {}
        self.oddities: dict[str, int] = {}
        self.protocol = 0
        self._references: dict[str, Inert] = {}
        self._chunk = 64 * KIB
        self._left_out = 0  # bytes of large operands, which no limit on opcodes counts
        self._start = 0
        self._expected = -1
        self._stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._at = 0

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
        u32, persistent = _U32.unpack_from, self.persistent
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
                elif op == 0x6A:  # LONG_BINGET
                    stack.append(memo[u32(data, pos)[0]])
                    pos += 4
                elif op == 0x4B:  # BININT1
                    stack.append(data[pos])
                    pos += 1
                elif op == 0x68:  # BINGET
                    stack.append(memo[data[pos]])
                    pos += 1
                elif op == 0x28:  # MARK
                    marks.append(stack)
                    stack = []
                elif op == 0x74:  # TUPLE
                    made = Node("tuple", stack)
                    stack = marks.pop()
                    stack.append(made)
                elif op == 0x58 and (end := pos + 4 + u32(data, pos)[0]) <= edge:  # BINUNICODE
                    stack.append(_text(data[pos + 4 : end]))
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
                    stack.append(_text(data[pos + 1 : end]))
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
                elif op == 0x2E:  # STOP
                    if base + pos > self.window.length:
                        self._fill(base + pos)
                    return stack[-1], base + pos
                else:
                    self._stack, self._at = stack, base + here
                    pos = self._rare(op, data, base, pos)
                    stack = self._stack
            raise LimitError(f"the pickle has more than {self.limits.pickle_opcodes:,} opcodes",
                             hint="if the file is trusted, raise the limit `pickle_opcodes`")
        except ModelFileError as error:
            error.offset = base + here if error.offset is None else error.offset
            raise
        except IndexError:
            raise InvalidFileError("a pickle opcode needs more values than the stack has", offset=base + here) from None
        except KeyError as error:
            what = f"the pickle takes memo {error.args[0]}, which nothing put"
            raise InvalidFileError(what, offset=base + here) from None

    def _fill(self, at: int) -> tuple[bytes, int, int, int]:
        """Buffer, its offset, position 0, and the position up to which opcodes can be decoded from it.

        The end of the stream is padded with zeros: an operand that is cut off moves the position past the end, which
        is noticed here before anything is made of it.
        """
        left = self.window.length - at
        if left <= 0:
            raise DamagedFileError("the pickle ends without its STOP", offset=min(at, self.window.length),
                                   hint="the file may be incomplete")
        self._chunk = min(self._chunk * 2, 4 * MIB) if at <= self._expected else 64 * KIB
        length = min(left, self._chunk)
        self.limits.check("pickle", at - self._start - self._left_out, "the pickle without its large operands")
        data = self.window.read(at, length)
        self._expected = at + length
        if length == left:
            return data + bytes(16), at, 0, length
        return data, at, 0, length - _SLACK

    # The less frequent opcodes. Each takes and gives the position in the buffer; `_stack` is current.

    def _rare(self, op: int, data: bytes, base: int, pos: int) -> int:
        stack = self._stack
        if op in opcodes.SIZED:
            return self._sized(op, data, base, pos)
        if op == 0x63 or op == 0x69:  # GLOBAL INST
            module, pos = self._line(data, base, pos, opcodes.MAX_NAME)
            name, pos = self._line(data, base, pos, opcodes.MAX_NAME)
            found = self._global(_text(module), _text(name))
            if op == 0x69:
                self._stack = self._marks.pop()
                found = self._make(found, stack)
            self._stack.append(found)
        elif op in _LINES:
            most = self.limits.pickle if op in opcodes.TEXT_LINES else opcodes.MAX_LINE
            line, pos = self._line(data, base, pos, most)
            _LINES[op](self, line)
        elif op in _FIXED:
            width = _FIXED[op]
            self._fixed(op, int.from_bytes(data[pos : pos + width], "little"), base + pos + width)
            pos += width
        elif op in _SIMPLE:
            _SIMPLE[op](self)
        else:
            raise InvalidFileError(f"`0x{op:02x}` is not a pickle opcode",
                                   hint="the data here is no pickle, or it is damaged")
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
            raise DamagedFileError(f"an operand of {length:,} bytes does not fit in the pickle",
                                   detail=f"{max(0, self.window.length - at):,} bytes are left",
                                   hint="the file may be incomplete")
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
            value = _text(raw)
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
                raise DamagedFileError(f"a frame of {value:,} bytes does not fit in the pickle",
                                       hint="the file may be incomplete")
        else:  # EXT1 EXT2 EXT4
            self._stack.append(self._global("copyreg", f"extension_{value}"))

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
        return found

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
        self._stack.append(self._make(values[0], values[1:]))

    def _push(self, value: Any) -> None:
        self._stack.append(value)


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise InvalidFileError(f"text in the pickle is not UTF-8: {error.reason}") from None


def _int_line(machine: Machine, line: bytes) -> None:
    machine._push(line == b"01" if line in (b"00", b"01") else opcodes.integer(line))


_LINES: dict[int, Callable[[Machine, bytes], Any]] = {
    ord("I"): _int_line,
    ord("L"): lambda m, line: m._push(opcodes.integer(line)),
    ord("F"): lambda m, line: m._push(opcodes.floating(line)),
    ord("S"): lambda m, line: m._push(opcodes.python2_text(opcodes.quoted(line))),
    ord("V"): lambda m, line: m._push(opcodes.escaped(line)),
    ord("P"): lambda m, line: m._push(m.persistent(opcodes.python2_text(line))),
    ord("g"): lambda m, line: m._push(m._memo[opcodes.integer(line)]),
    ord("p"): lambda m, line: m._memo.__setitem__(opcodes.integer(line), m._stack[-1]),
}
_FIXED = {0x80: 1, 0x82: 1, 0x83: 2, 0x84: 4, 0x95: 8}
_SIMPLE: dict[int, Callable[[Machine], Any]] = {
    ord("0"): Machine._pop,
    ord("1"): Machine._pop_mark,
    ord("2"): lambda m: m._push(m._stack[-1]),
    ord("a"): Machine._append,
    ord("s"): Machine._setitem,
    ord("d"): Machine._dict,
    ord("l"): lambda m: m._push(Node("list", m._pop_mark())),
    ord("o"): Machine._obj,
    0x81: Machine._newobj,
    0x92: Machine._newobj_ex,
    0x8F: lambda m: m._push(Node("set", [])),
    0x91: lambda m: m._push(Node("frozenset", m._pop_mark())),
    0x93: Machine._stack_global,
    0x97: lambda m: m._push(Inert("out_of_band_buffer", "called")),
    0x98: lambda m: None,
}
