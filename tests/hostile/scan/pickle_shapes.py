# ruff: noqa: E501
"""Ways to name and call a global in the pickle language, as raw bytes: each shape takes (module, name, argument).

Nothing here is ever unpickled by a machine that imports; the tests run them through stubs and through the scanner.
"""

import base64
import struct
import zlib


def text(value):
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def short(value):
    raw = value.encode()
    return b"\x8c" + bytes([len(raw)]) + raw


def data(raw):
    return b"B" + struct.pack("<I", len(raw)) + raw


def named(module, name):
    return f"c{module}\n{name}\n".encode()


def stacked(module, name):
    return short(module) + short(name) + b"\x93"


def call(module, name, argument, proto=2):
    """The plainest form: what containers carry."""
    return b"\x80" + bytes([proto]) + named(module, name) + text(argument) + b"\x85R."


def acts(module, name, argument):
    """The call without header and end, to be put inside something."""
    return named(module, name) + text(argument) + b"\x85R"


def _simple(make):
    return lambda m, n, a: make(named(m, n), text(a), m, n, a)


SHAPES = {}


def shape(name):
    def keep(make):
        SHAPES[name] = make
        return make

    return keep


for _p in range(6):
    SHAPES[f"protocol {_p}"] = lambda m, n, a, p=_p: call(m, n, a, p)
SHAPES |= {
    "no header": lambda m, n, a: acts(m, n, a) + b".",
    "text only": lambda m, n, a: named(m, n) + f"(S'{a}'\ntR.".encode(),
    "unicode line": lambda m, n, a: named(m, n) + f"(V{a}\ntR.".encode(),
    "INST": lambda m, n, a: f"(S'{a}'\ni{m}\n{n}\n.".encode(),
    "OBJ": lambda m, n, a: b"(" + named(m, n) + text(a) + b"o.",
    "NEWOBJ": lambda m, n, a: b"\x80\x02" + named(m, n) + text(a) + b"\x85\x81.",
    "NEWOBJ_EX": lambda m, n, a: b"\x80\x04" + stacked(m, n) + text(a) + b"\x85}\x92.",
    "NEWOBJ_EX with keywords": lambda m, n, a: b"\x80\x04" + stacked(m, n) + b")}" + text("x") + text(a) + b"s\x92.",
    "STACK_GLOBAL": lambda m, n, a: b"\x80\x04" + stacked(m, n) + text(a) + b"\x85R.",
    "STACK_GLOBAL of long text": lambda m, n, a: b"\x80\x04" + text(m) + text(n) + b"\x93" + text(a) + b"\x85R.",
    "STACK_GLOBAL of BINUNICODE8": lambda m, n, a: b"\x80\x04" + b"".join(
        b"\x8d" + struct.pack("<Q", len(t)) + t.encode() for t in (m, n)) + b"\x93" + text(a) + b"\x85R.",
    "STACK_GLOBAL of lines": lambda m, n, a: f"V{m}\nV{n}\n".encode() + b"\x93" + text(a) + b"\x85R.",
    "STACK_GLOBAL of STRING": lambda m, n, a: f"S'{m}'\nS'{n}'\n".encode() + b"\x93" + text(a) + b"\x85R.",
    "STACK_GLOBAL of BINSTRING": lambda m, n, a: b"T" + struct.pack("<i", len(m)) + m.encode() + b"U" + bytes(
        [len(n)]) + n.encode() + b"\x93" + text(a) + b"\x85R.",
    "STACK_GLOBAL of escapes": lambda m, n, a: "".join(
        "S'" + "".join(f"\\x{ord(c):02x}" for c in t) + "'\n" for t in (m, n)).encode() + b"\x93" + text(a) + b"\x85R.",
    "STACK_GLOBAL of unicode escapes": lambda m, n, a: "".join(
        "V" + "".join(f"\\u{ord(c):04x}" for c in t) + "\n" for t in (m, n)).encode() + b"\x93" + text(a) + b"\x85R.",
    "memo BINGET": lambda m, n, a: text(m) + b"q\x05" + text(n) + b"q\x0600" + b"h\x05h\x06\x93" + text(a) + b"\x85R.",
    "memo LONG_BINGET": lambda m, n, a: text(m) + b"r\0\0\1\0" + text(n) + b"r\1\0\1\0" + b"00j\0\0\1\0j\1\0\1\0\x93"
    + text(a) + b"\x85R.",
    "memo MEMOIZE": lambda m, n, a: b"\x80\x04" + text(m) + b"\x94" + text(n) + b"\x9400h\0h\1\x93" + text(a) + b"\x85R.",
    "memo of the global": lambda m, n, a: named(m, n) + b"q\x000" + b"]h\0" + text(a) + b"\x85Ra.",
    "memo of the arguments": lambda m, n, a: text(a) + b"\x85q\x010" + named(m, n) + b"h\1R.",
    "memo overwritten": lambda m, n, a: named("collections", "OrderedDict") + b"q\x000" + named(m, n) + b"q\x000h\0"
    + text(a) + b"\x85R.",
    "DUP": lambda m, n, a: named(m, n) + text(a) + b"\x852" + b"0R.",
    "inside a dict key": lambda m, n, a: b"}" + acts(m, n, a) + b"Ns.",
    "inside a dict value": lambda m, n, a: b"}(" + text("k") + acts(m, n, a) + b"u.",
    "inside a list": lambda m, n, a: b"](" + acts(m, n, a) + b"e.",
    "inside a set": lambda m, n, a: b"\x80\x04\x8f(" + acts(m, n, a) + b"\x90.",
    "inside a frozenset": lambda m, n, a: b"\x80\x04(" + acts(m, n, a) + b"\x91.",
    "inside DICT": lambda m, n, a: b"(" + text("k") + acts(m, n, a) + b"d.",
    "inside LIST": lambda m, n, a: b"(" + acts(m, n, a) + b"l.",
    "inside TUPLE3": lambda m, n, a: b"NN" + acts(m, n, a) + b"\x87.",
    "inside an argument": lambda m, n, a: named("collections", "OrderedDict") + b"((" + acts(m, n, a) + b"ltR.",
    "as a state": lambda m, n, a: named("argparse", "Namespace") + b")\x81}" + text("x") + acts(m, n, a) + b"sb.",
    "popped": lambda m, n, a: acts(m, n, a) + b"0N.",
    "popped with its mark": lambda m, n, a: b"(" + acts(m, n, a) + b"1N.",
    "left on the stack": lambda m, n, a: acts(m, n, a) + b"N.",
    "left under a mark": lambda m, n, a: acts(m, n, a) + b"(N.",
    "a hundred lists deep": lambda m, n, a: b"(" * 100 + acts(m, n, a) + b"l" * 100 + b".",
    "after ten thousand values": lambda m, n, a: b"(" + b"K\1" * 10000 + b"t0" + acts(m, n, a) + b".",
    "after large bytes": lambda m, n, a: data(bytes(200_000)) + b"0" + acts(m, n, a) + b".",
    "after large text": lambda m, n, a: text("x" * 200_000) + b"0" + acts(m, n, a) + b".",
    "without STOP": lambda m, n, a: acts(m, n, a),
    "before a bad opcode": lambda m, n, a: b"\x80\x02" + acts(m, n, a) + b"\xff\xff",
    "before a missing memo": lambda m, n, a: b"\x80\x02" + acts(m, n, a) + b"h\x77.",
    "before an empty stack": lambda m, n, a: b"\x80\x02" + acts(m, n, a) + b"000.",
    "before a cut operand": lambda m, n, a: b"\x80\x02" + acts(m, n, a) + b"X\xff\xff\xff\x7f",
    "before protocol 9": lambda m, n, a: b"\x80\x02" + acts(m, n, a) + b"\x80\x09.",
    "before an empty STOP": lambda m, n, a: b"\x80\x02" + acts(m, n, a) + b"0.",
    "before a bad global": lambda m, n, a: b"\x80\x04" + acts(m, n, a) + b"K\1K\2\x93.",
    "before bad UTF-8": lambda m, n, a: b"\x80\x04" + acts(m, n, a) + b"\x8c\1\xff.",
    "before a negative PUT": lambda m, n, a: b"\x80\x02" + acts(m, n, a) + b"p-1\n.",
    "before NEXT_BUFFER": lambda m, n, a: b"\x80\x05" + acts(m, n, a) + b"\x97.",
    "before READONLY_BUFFER": lambda m, n, a: b"\x80\x05" + acts(m, n, a) + b"\x98.",
    "PROTO in the middle": lambda m, n, a: b"\x80\x02N0\x80\x04" + acts(m, n, a) + b".",
    "PROTO after the global": lambda m, n, a: named(m, n) + b"\x80\x02" + text(a) + b"\x85R.",
    "a frame in protocol 2": lambda m, n, a: b"\x80\x02\x95\5\0\0\0\0\0\0\0" + acts(m, n, a) + b".",
    "a frame too long": lambda m, n, a: b"\x80\x04\x95\xff\xff\0\0\0\0\0\0" + acts(m, n, a) + b".",
    "a frame too short": lambda m, n, a: b"\x80\x04\x95\1\0\0\0\0\0\0\0" + acts(m, n, a) + b".",
    "a frame in a frame": lambda m, n, a: b"\x80\x04\x95\x20\0\0\0\0\0\0\0\x95\1\0\0\0\0\0\0\0" + acts(m, n, a) + b".",
    "an empty frame": lambda m, n, a: b"\x80\x04\x95" + bytes(8) + acts(m, n, a) + b".",
    "REDUCE of a list": lambda m, n, a: named(m, n) + b"]" + text(a) + b"aR.",
    "REDUCE of a dict": lambda m, n, a: named(m, n) + b"}" + text(a) + b"NsR.",
    "REDUCE of a set": lambda m, n, a: b"\x80\x04" + named(m, n) + b"\x8f(" + text(a) + b"\x90R.",
    "REDUCE of text": lambda m, n, a: named(m, n) + text("w") + b"R.",
    "NEWOBJ of a list": lambda m, n, a: b"\x80\x02" + named(m, n) + b"]" + text(a) + b"a\x81.",
    "BUILD on the global": lambda m, n, a: named(m, n) + b"}" + text("x") + text(a) + b"sb.",
    "BUILD of slots": lambda m, n, a: named(m, n) + b"}}" + text("x") + text(a) + b"s\x86b.",
    "items of the global": lambda m, n, a: named(m, n) + text("x") + text(a) + b"s.",
    "appended to the global": lambda m, n, a: named(m, n) + text(a) + b"a.",
    "a state that sets __setstate__": lambda m, n, a: named("argparse", "Namespace") + b")\x81}" + text("__setstate__")
    + named(m, n) + b"sb" + text(a) + b"b.",
    "the result is called": lambda m, n, a: acts(m, n, a) + b")R.",
    "through partial": lambda m, n, a: named("functools", "partial") + named(m, n) + text(a) + b"\x86R)R.",
    "through map": lambda m, n, a: named("builtins", "list") + named("builtins", "map") + named(m, n) + b"]" + text(a)
    + b"a\x86R\x85R.",
    "through filter": lambda m, n, a: named("builtins", "filter") + named(m, n) + b"]" + text(a) + b"a\x86R.",
    "through reduce": lambda m, n, a: named("functools", "reduce") + named(m, n) + b"]" + text(a) + b"a\x86R.",
    "through defaultdict": lambda m, n, a: named("collections", "defaultdict") + named(m, n) + b"\x85R" + text(a) + b"Ns.",
    "through _rebuild_from_type_v2": lambda m, n, a: named("torch._tensor", "_rebuild_from_type_v2") + b"(" + named(m, n)
    + named("torch", "Tensor") + text(a) + b"\x85NtR.",
    "through __newobj__": lambda m, n, a: named("copyreg", "__newobj__") + named(m, n) + text(a) + b"\x86R.",
    "through __newobj_ex__": lambda m, n, a: named("copyreg", "__newobj_ex__") + named(m, n) + text(a) + b"\x85}\x87R.",
    "through _reconstructor": lambda m, n, a: named("copy_reg", "_reconstructor") + named("builtins", "object")
    + named(m, n) + text(a) + b"\x87R.",
    "through getattr": lambda m, n, a: named("builtins", "getattr") + named(m, n) + text("__call__") + b"\x86R" + text(a)
    + b"\x85R.",
    "in a persistent id": lambda m, n, a: b"\x80\x02" + acts(m, n, a) + b"Q.",
    "beside a storage": lambda m, n, a: b"\x80\x02(" + text("storage") + named(m, n) + text("0") + text("cpu") + b"K\1tQ.",
    "after a text persistent id": lambda m, n, a: b"Pabc\n0" + acts(m, n, a) + b".",
    "after laughs": lambda m, n, a: b"]q\0" + b"".join(b"(" + bytes([0x68, i]) * 10 + b"lq" + bytes([i + 1]) for i in range(40)) + acts(m, n, a) + b".",
    "after a memo bomb": lambda m, n, a: b"Nr\xff\xff\xff\xff0" + acts(m, n, a) + b".",
    "after a line of 100 KB": lambda m, n, a: b"F1.5\0" + b"z" * 100_000 + b"\n0" + acts(m, n, a) + b".",
    "in a second pickle": lambda m, n, a: b"\x80\x02N." + call(m, n, a),
    "in a twentieth pickle": lambda m, n, a: b"\x80\x02N." * 19 + call(m, n, a),
    "in a second pickle that breaks": lambda m, n, a: b"\x80\x02N.\x80\x02" + acts(m, n, a) + b"\xff",
    "after bytes behind a pickle": lambda m, n, a: b"\x80\x02N." + bytes(100) + call(m, n, a),
    "without header behind bytes": lambda m, n, a: b"\x80\x02N." + bytes(100) + named(m, n) + text(a).join((b"", b"\x85R.")),
    "in bytes for loads": lambda m, n, a: named("pickle", "loads") + data(call(m, n, a)) + b"\x85R.",
    "in bytes for _pickle.loads": lambda m, n, a: named("_pickle", "loads") + data(call(m, n, a)) + b"\x85R.",
    "in bytes for _load_from_bytes": lambda m, n, a: named("torch.storage", "_load_from_bytes") + data(call(m, n, a)) + b"\x85R.",
    "in bytes that nothing takes": lambda m, n, a: b"\x80\x04}" + text("k") + data(call(m, n, a)) + b"s.",
    "in short bytes": lambda m, n, a: b"\x80\x04C" + bytes([len(call(m, n, a))]) + call(m, n, a) + b".",
    "in a bytearray": lambda m, n, a: b"\x80\x05\x96" + struct.pack("<Q", len(call(m, n, a))) + call(m, n, a) + b".",
    "in large bytes": lambda m, n, a: b"\x80\x04" + data(call(m, n, a) + bytes(9000)) + b".",
    "in base64 text": lambda m, n, a: named("base64", "b64decode") + text(base64.b64encode(call(m, n, a)).decode()) + b"\x85R.",
    "in base64 that nothing takes": lambda m, n, a: b"}" + text("k") + text(base64.b64encode(call(m, n, a)).decode()) + b"s.",
    "in hexadecimal text": lambda m, n, a: named("binascii", "unhexlify") + text(call(m, n, a).hex()) + b"\x85R.",
    "in latin-1 text": lambda m, n, a: named("_codecs", "encode") + text("\x80\x02" + acts(m, n, a).decode("latin-1") + ".")
    + text("latin1") + b"\x86R.",
    "in zlib in bytes": lambda m, n, a: named("zlib", "decompress") + data(zlib.compress(call(m, n, a))) + b"\x85R.",
    "in bytes in bytes": lambda m, n, a: named("pickle", "loads") + data(
        b"\x80\x04" + named("pickle", "loads") + data(call(m, n, a)) + b"\x85R.") + b"\x85R.",
}  # fmt: skip

# Operands that one of CPython's machines reads and others do not: put before a call that must still be seen.
NUMBERS = [
    b"I0x10", b"I1_000", b"I1\0zz", b"I 1", b"I1 ", b"I0b101", b"I0o17", b"I-0x1", b"I+5", b"I\t7", b"I010", b"I00", b"I01",
    b"I0X1F", b"I1\0", b"L5", b"L0x10L", b"L1_0L", b"L 7L", b"L-1L", b"L1\0L", b"L0b1", b"F1.5\0", b"F1.5\0zz", b"F 1.5",
    b"F1.5 ", b"Fnan", b"Finf", b"F-inf", b"F1_0.5", b"F1e400", b"F.5", b"F5.", b"F1E5", b"Finfinity", b"F+1",
    b"I0x" + b"f" * 5000, b"S''", b"S\"a'b\"", b"S'\\x41\\n'", b"Va\\u0041", b"V", b"Pabc",
]  # fmt: skip
for _number in NUMBERS:
    SHAPES[f"after {_number[:12]!r}"] = lambda m, n, a, x=_number: x + b"\n0" + acts(m, n, a) + b"."
# Text PUT and GET whose numbers are written oddly.
for _put, _get in [(b"0", b"0"), (b"-0", b"0"), (b" 5", b"5"), (b"5 ", b"05"), (b"1_0", b"10"), (b"1\0x", b"1"), (b"7", b"7\0x"),
                   (b"3", b" 3"), (b"999999", b"999999"), (b"+4", b"4"), (b"010", b"10"), (b"\t2", b"2")]:  # fmt: skip
    SHAPES[f"PUT {_put!r} GET {_get!r}"] = lambda m, n, a, p=_put, g=_get: (
        named(m, n) + b"p" + p + b"\n0g" + g + b"\n" + text(a) + b"\x85R."
    )
