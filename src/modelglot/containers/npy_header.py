"""The header of an ``.npy`` record: magic, version, length, and a Python dict literal of exactly three keys.

Nothing is evaluated: a parser for the few literals the format allows, over at most 64 KiB. Specification: numpy.org,
``numpy.lib.format``, versions 1 to 3.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod
from typing import Any

from modelglot.core.dtype import DTYPES, DType
from modelglot.core.encoding import PLAIN, Encoding, Opaque
from modelglot.core.errors import DamagedFileError, InvalidFileError, LimitError, UnsupportedError, located, printable

MAGIC = b"\x93NUMPY"
MOST = 64 << 10  # of header text
READ = 12 + MOST  # enough to hold any header that is accepted
_DEPTH = 16
_SIMPLE = {
    "b1": "bool", "?": "bool", "i1": "i8", "i2": "i16", "i4": "i32", "i8": "i64", "u1": "u8", "u2": "u16", "u4": "u32",
    "u8": "u64", "f2": "f16", "f4": "f32", "f8": "f64", "c8": "c64", "c16": "c128",
}  # fmt: skip
DESCR = {ours: code for code, ours in _SIMPLE.items() if code != "?"}
_DESCR = re.compile(r"([<>|=]?)([?a-zA-Z])(\d{0,9})(\[[^\]]{0,20}\])?")
_TOKEN = re.compile(
    r"""\s*(?:([ubUB]?(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"))|(-?\d{1,30})[lL]?|(True|False|None)|([][{}():,]))"""
)


@dataclass(frozen=True, slots=True)
class NpyHeader:
    """``start`` is where the data begins in the record; ``descr`` the type as text; ``objects`` says it is a pickle.

    ``length`` is the bytes of the data, which for a pickle is not known (0).
    """

    version: int
    descr: str
    dtype: DType
    encoding: Encoding
    shape: tuple[int, ...]
    fortran: bool
    byteorder: str
    start: int
    length: int
    objects: bool = False

    @property
    def strides(self) -> tuple[int, ...] | None:
        """In elements, for column-major arrays; None where row-major says the same."""
        if not self.fortran or sum(n > 1 for n in self.shape) < 2 or 0 in self.shape:
            return None
        return tuple(prod(self.shape[:axis]) for axis in range(len(self.shape)))


def parse(head: bytes) -> NpyHeader:
    """The header at the front of ``head``, which has the first `READ` bytes of the record or all of it.

    Raises DamagedFileError where it is cut off, InvalidFileError, LimitError, UnsupportedError; offsets count from
    the start of the record.
    """
    if not head.startswith(MAGIC[: len(head)]):
        raise InvalidFileError("does not start with `\\x93NUMPY`", offset=0)
    if len(head) < 10:
        raise DamagedFileError("the .npy header is cut off", offset=len(head), hint="the download may be incomplete")
    version = head[6]
    if version not in (1, 2, 3):
        raise UnsupportedError(f"version {version} of .npy is not known; 1 to 3 are read", offset=6)
    width = 2 if version == 1 else 4
    length = int.from_bytes(head[8 : 8 + width], "little")
    start = 8 + width + length
    if length > MOST:
        raise LimitError(f"the .npy header has {length:,} bytes; at most {MOST:,} are read", offset=8)
    if len(head) < start:
        raise DamagedFileError(
            f"the .npy header ends {start - len(head):,} bytes too late",
            offset=8,
            detail=f"it has {length:,} bytes; {max(0, len(head) - 8 - width):,} are there",
            hint="the download may be incomplete",
        )
    try:
        text = head[8 + width : start].decode("utf-8" if version == 3 else "latin-1")
    except UnicodeDecodeError:
        raise InvalidFileError("the .npy header is not UTF-8", offset=8 + width) from None
    with located(base=8 + width):
        return _header(_Literal(text), version, start)


def _header(literal: _Literal, version: int, start: int) -> NpyHeader:
    found = literal.whole()
    if not isinstance(found, dict) or set(found) != {"descr", "fortran_order", "shape"}:
        raise InvalidFileError("the .npy header needs exactly `descr`, `fortran_order` and `shape`", offset=0)
    shape, fortran, descr = found["shape"], found["fortran_order"], found["descr"]
    if not isinstance(shape, tuple) or not all(type(n) is int and 0 <= n < 1 << 63 for n in shape):
        raise InvalidFileError(f"the shape {printable(repr(shape))} is not a tuple of sizes", offset=0)
    if len(shape) > 64:
        raise InvalidFileError(f"{len(shape)} axes; NumPy has at most 64", offset=0)
    if type(fortran) is not bool:
        raise InvalidFileError("`fortran_order` must be True or False", offset=0)
    text = descr if isinstance(descr, str) else literal.source("descr")
    itemsize, objects = _itemsize(descr, 0)
    count = prod(shape)
    if objects:
        dtype, encoding, order = DTYPES["opaque"], Opaque("numpy-objects", 0), "little"
        return NpyHeader(version, text, dtype, encoding, shape, fortran, order, start, 0, True)
    simple = simple_dtype(descr)
    if simple is None:
        length = count * itemsize
        label = "numpy-record" if not isinstance(descr, str) else f"numpy-{descr.lstrip('<>|=')}"
        kept = Opaque(label, length)
        return NpyHeader(version, text, DTYPES["opaque"], kept, shape, fortran, "little", start, length)
    dtype, order = simple
    return NpyHeader(version, text, dtype, PLAIN, shape, fortran, order, start, count * dtype.itemsize)


def simple_dtype(descr: Any) -> tuple[DType, str] | None:
    """(dtype, byte order) of a number type; None for text, dates, records and void.

    ``<V2`` is bfloat16: what NumPy writes for the one two-byte type of ml_dtypes, and what MLX writes. Plain two-byte
    void is ``|V2``.
    """
    if descr in ("<V2", ">V2"):
        return DTYPES["bf16"], "big" if descr[0] == ">" else "little"
    m = _DESCR.fullmatch(descr) if isinstance(descr, str) else None
    name = _SIMPLE.get(m[2] + m[3]) if m and not m[4] else None
    if m is None or name is None:
        return None
    return DTYPES[name], "big" if m[1] == ">" and DTYPES[name].itemsize > 1 else "little"


def _itemsize(descr: Any, depth: int) -> tuple[int, bool]:
    """(bytes of one item, whether there are Python objects in it)."""
    if depth > _DEPTH:
        raise LimitError(f"records nested more than {_DEPTH} deep", offset=0)
    if isinstance(descr, str):
        m = _DESCR.fullmatch(descr)
        if m is None or m[2] not in "?bBiufcmMOSaUV":
            raise InvalidFileError(f"unknown type {printable(descr, code=True)}", offset=0)
        if m[2] == "O":
            return 8, True
        return (1 if m[2] == "?" else int(m[3] or 0)) * (4 if m[2] == "U" else 1), False
    if not isinstance(descr, list):
        raise InvalidFileError("`descr` must be text or a list of fields", offset=0)
    size, objects = 0, False
    for entry in descr:
        if not isinstance(entry, tuple) or len(entry) not in (2, 3):
            raise InvalidFileError("a field of a record must be (name, type) or (name, type, shape)", offset=0)
        part, inside = _itemsize(entry[1], depth + 1)
        shape = entry[2] if len(entry) == 3 else ()
        if not isinstance(shape, tuple) or not all(type(n) is int and 0 <= n < 1 << 63 for n in shape):
            raise InvalidFileError("the shape of a field is not a tuple of sizes", offset=0)
        size += part * prod(shape)
        objects = objects or inside
    return size, objects


class _Literal:
    """Dicts with text keys, lists, tuples, text, whole numbers, True, False, None; nothing else, nothing deep."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.spans: dict[str, tuple[int, int]] = {}

    def whole(self) -> Any:
        value = self.value(0)
        if self.text[self.at :].strip(" \t\r\n\0"):
            raise self.wrong("something follows the header")
        return value

    def source(self, key: str) -> str:
        """The text of the value of a key of the outermost dict."""
        begin, end = self.spans[key]
        return self.text[begin:end].strip()

    def wrong(self, what: str) -> InvalidFileError:
        return InvalidFileError(f"the .npy header is not valid: {what}", offset=len(self.text[: self.at].encode()))

    def next(self) -> tuple[str, Any]:
        """(kind, value): kind is ``value`` or the punctuation."""
        m = _TOKEN.match(self.text, self.at)
        if m is None:
            raise self.wrong("unexpected " + printable(self.text[self.at : self.at + 12].strip(), code=True))
        self.at = m.end()
        string, number, word, mark = m.groups()
        if string is not None:
            return "value", string.lstrip("ubUB")[1:-1]
        if number is not None:
            return "value", int(number)
        if word is not None:
            return "value", {"True": True, "False": False, "None": None}[word]
        return mark, None

    def peek(self) -> str:
        m = _TOKEN.match(self.text, self.at)
        return (m[4] or "value") if m else ""

    def value(self, depth: int) -> Any:
        if depth > _DEPTH:
            raise LimitError(f"the .npy header is nested more than {_DEPTH} deep", offset=self.at)
        kind, value = self.next()
        if kind == "value":
            return value
        if kind == "{":
            return self.mapping(depth)
        if kind in "([":
            return self.sequence(kind, depth)
        raise self.wrong(f"unexpected `{kind}`")

    def mapping(self, depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        while self.peek() != "}":
            _, key = self.next()
            if not isinstance(key, str) or key in made:
                raise self.wrong("a key that is not text, or twice the same")
            if self.next()[0] != ":":
                raise self.wrong("expected `:`")
            begin = self.at
            made[key] = self.value(depth + 1)
            if depth == 0:
                self.spans[key] = begin, self.at
            if self.peek() != "}" and self.next()[0] != ",":
                raise self.wrong("expected `,` or `}`")
        self.next()
        return made

    def sequence(self, opening: str, depth: int) -> Any:
        closing = ")" if opening == "(" else "]"
        made: list[Any] = []
        comma = False
        while self.peek() != closing:
            made.append(self.value(depth + 1))
            comma = self.peek() == ","
            if comma:
                self.next()
            elif self.peek() != closing:
                raise self.wrong(f"expected `,` or `{closing}`")
        self.next()
        if opening == "[":
            return made
        return made[0] if len(made) == 1 and not comma else tuple(made)


def render(descr: str, shape: tuple[int, ...], fortran: bool = False) -> bytes:
    """The header as NumPy writes it: room for the first axis to grow, padded so that the data begins at 64 bytes."""
    value = descr if descr.startswith("[") else f"'{descr}'"
    sizes = "(" + ", ".join(map(str, shape)) + (",)" if len(shape) == 1 else ")")
    text = f"{{'descr': {value}, 'fortran_order': {fortran}, 'shape': {sizes}, }}"
    if shape:
        text += " " * (21 - len(str(shape[-1] if fortran else shape[0])))
    version = 1 if len(text) + 64 < 1 << 16 else 2
    if not text.isascii():
        version = 3
    raw = text.encode()
    width = 2 if version == 1 else 4
    total = -(-(8 + width + len(raw) + 1) // 64) * 64
    length = total - 8 - width
    return MAGIC + bytes((version, 0)) + length.to_bytes(width, "little") + raw.ljust(length - 1) + b"\n"
