"""The opcodes of the pickle language, and how operands that are lines of text are read.

Source: the opcode list in CPython's documentation of the language (protocols 0 to 5). Both CPython machines accept
more than the list says (hexadecimal integers, NULs after digits); what either takes is taken here.
"""

from __future__ import annotations

from modelglot.core.errors import InvalidFileError, printable

# Operands that start with their length: opcode -> bytes of the length field.
SIZED: dict[int, int] = {
    ord("X"): 4, 0x8C: 1, 0x8D: 8,  # text
    ord("B"): 4, ord("C"): 1, 0x8E: 8, 0x96: 8,  # bytes
    ord("T"): 4, ord("U"): 1,  # Python 2 text
    0x8A: 1, 0x8B: 4,  # integers
}  # fmt: skip
TEXT = frozenset((ord("X"), 0x8C, 0x8D))
INTEGERS = frozenset((0x8A, 0x8B))
PYTHON2_TEXT = frozenset((ord("T"), ord("U")))
SIGNED = frozenset((ord("T"), 0x8B))  # a negative length is an error, not a large one

TEXT_LINES = frozenset((ord("S"), ord("V")))  # as long as a pickle may be; other lines are short

MAX_LINE, MAX_NAME, MAX_DIGITS = 65536, 4096, 4300


def integer(line: bytes) -> int:
    """The operand of INT, LONG, GET, PUT: decimal or with a base prefix, without a final ``L`` or a NUL."""
    text = line.split(b"\0")[0].strip().removesuffix(b"L")
    if len(text) > MAX_DIGITS and text.lstrip(b"+-")[:2].lower() not in (b"0x", b"0o", b"0b"):
        raise InvalidFileError(f"a number of {len(text):,} digits")
    if not text and b"\0" in line:
        return 0  # what the machine in C makes of it
    for base in (10, 0):
        try:
            return int(text, base)
        except ValueError:
            continue
    raise InvalidFileError(f"{printable(text.decode('latin-1'), code=True)} is not a number")


def floating(line: bytes) -> float:
    try:
        return float(line.split(b"\0")[0].strip())
    except ValueError:
        raise InvalidFileError(f"{printable(line.decode('latin-1'), code=True)} is not a number") from None


def quoted(line: bytes) -> bytes:
    """The operand of STRING: a quoted literal with backslash escapes."""
    import codecs

    text = line.strip()
    if len(text) < 2 or text[:1] != text[-1:] or text[:1] not in (b"'", b'"'):
        raise InvalidFileError("the operand of STRING is not in quotes")
    try:
        decoded: bytes = codecs.escape_decode(text[1:-1])[0]
    except ValueError as error:
        raise InvalidFileError(f"the operand of STRING is malformed: {error}") from None
    return decoded


def escaped(line: bytes) -> str:
    """The operand of UNICODE: raw-unicode-escape."""
    try:
        return line.decode("raw-unicode-escape")
    except UnicodeDecodeError as error:
        raise InvalidFileError(f"the operand of UNICODE is malformed: {error.reason}") from None


def python2_text(raw: bytes) -> str | bytes:
    """A Python 2 ``str``: text where it is UTF-8, else the bytes it may have been meant as."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw
