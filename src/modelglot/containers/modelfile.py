"""Ollama's Modelfile: instructions as values, and back, by the rules of Ollama's own reader.

That reader drops characters that cannot be printed and knows no escapes, so not every text can be written: what
would come back different is refused.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from modelglot.core.errors import InvalidFileError, printable

NAMES = (
    "FROM", "PARAMETER", "TEMPLATE", "SYSTEM", "ADAPTER", "LICENSE", "MESSAGE", "REQUIRES", "RENDERER", "PARSER",
    "DRAFT",
)  # fmt: skip
ROLES = ("system", "user", "assistant")
COMMENT = "#"

# What PARAMETER takes, by its type. Other names are kept: Ollama adds some and drops others.
PARAMETERS = {
    "num_ctx": int, "num_predict": int, "num_batch": int, "num_gpu": int, "num_thread": int, "num_keep": int,
    "main_gpu": int, "seed": int, "top_k": int, "repeat_last_n": int, "top_p": float, "min_p": float,
    "typical_p": float, "temperature": float, "repeat_penalty": float, "presence_penalty": float,
    "frequency_penalty": float, "stop": str, "use_mmap": bool,
}  # fmt: skip
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_NAME = re.compile(r"[A-Za-z]*")
_KEY = re.compile(r"[A-Za-z0-9_]*")


class Instruction(NamedTuple):
    """``PARAMETER temperature 0.7`` is ("PARAMETER", "0.7", "temperature"); a MESSAGE has its role as ``key``.

    A comment is ("#", its text).
    """

    name: str
    value: str
    key: str = ""


class Modelfile(NamedTuple):
    instructions: tuple[Instruction, ...]

    def values(self, name: str, key: str = "") -> list[str]:
        """Every value of an instruction, such as each ``PARAMETER stop``."""
        return [i.value for i in self.instructions if i.name == name and i.key == key]

    def value(self, name: str, key: str = "") -> str | None:
        """The value that counts: the last one."""
        found = self.values(name, key)
        return found[-1] if found else None


def looks_like(head: bytes) -> bool:
    """The first instruction is FROM, after nothing but comments."""
    for line in _decoded(head, "replace").splitlines():
        words = line.split(None, 1)
        if not words or words[0].startswith(COMMENT):
            continue
        return len(words) == 2 and words[0].upper() == "FROM"
    return False


def parse(data: bytes) -> Modelfile:
    """Raises InvalidFileError with the byte offset of the line; a Modelfile has at least one FROM."""
    made = Modelfile(tuple(_instructions(_decoded(data))))
    if made.value("FROM") is None:
        raise InvalidFileError("no FROM line", hint="a Modelfile names its model: `FROM ./model.gguf`")
    return made


def write(file: Modelfile) -> bytes:
    """Text that `parse` and Ollama read as these values. Raises InvalidFileError for a value that cannot be written."""
    return "".join(f"{line}\n" for line in map(_line, file.instructions)).encode()


def _decoded(data: bytes, errors: str = "strict") -> str:
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            data, kind = data[len(mark) :], encoding
            break
    else:
        kind = "utf-8"
    try:
        return data.decode(kind, errors)
    except UnicodeDecodeError as error:
        raise InvalidFileError(f"the Modelfile is not {kind.upper()} text", offset=error.start) from None


def _instructions(text: str) -> Iterator[Instruction]:
    at = 0
    while at < len(text):
        if text[at] in " \t\r\n":
            at += 1
        elif text[at] == COMMENT:
            end = _line_end(text, at)
            yield Instruction(COMMENT, text[at + 1 : end].strip())
            at = end
        else:
            made, at = _instruction(text, at)
            yield made


def _instruction(text: str, start: int) -> tuple[Instruction, int]:
    name, at = _word(text, start, _NAME)
    if name.upper() not in NAMES:
        shown = printable(text[start : _line_end(text, start)], code=True, limit=60)
        raise _wrong(text, start, f"{shown} is no instruction", f"one of {', '.join(NAMES)}")
    name, key = name.upper(), ""
    if name == "PARAMETER":
        key, at = _word(text, at, _KEY)
    elif name == "MESSAGE":
        key, at = _word(text, at, _NAME)
        if key not in ROLES:
            raise _wrong(text, start, f"the role {printable(key, code=True)} is unknown", f"one of {', '.join(ROLES)}")
    value, at = _value(text, start, at)
    return Instruction(name, value, key), at


def _word(text: str, at: int, pattern: re.Pattern[str]) -> tuple[str, int]:
    """A word and the place after the space behind it."""
    found = pattern.match(text, at)
    word, end = (found[0], found.end()) if found else ("", at)
    if not word or text[end : end + 1] not in (" ", "\t"):
        shown = printable(text[at : _line_end(text, at)], code=True, limit=60)
        raise _wrong(text, at, f"{shown} is not a name, a space and a value", "write `INSTRUCTION value`")
    return word, end + 1


def _value(text: str, start: int, at: int) -> tuple[str, int]:
    """To the end of the line, or of the first line that ends with the quotes that the value began with."""
    end = at
    while True:
        end = _line_end(text, end)
        raw = text[at:end].strip()
        quote = '"""' if raw.startswith('"""') else '"' if raw.startswith('"') else ""
        if len(raw) >= 2 * len(quote) and raw.endswith(quote):
            inner = raw[len(quote) : len(raw) - len(quote)]
            return "".join(c for c in inner if c.isprintable() or c in "\t\r\n"), end
        if end == len(text):
            raise _wrong(text, start, f"no {quote} closes the value", f"end the value with {quote}")
        end += 1


def _line_end(text: str, at: int) -> int:
    ends = [e for e in (text.find("\n", at), text.find("\r", at)) if e >= 0]
    return min(ends, default=len(text))


def _wrong(text: str, at: int, what: str, hint: str) -> InvalidFileError:
    number = text.count("\n", 0, at) + 1
    return InvalidFileError(f"line {number:,}: {what}", offset=len(text[:at].encode()), hint=hint)


def _line(item: Instruction) -> str:
    if item.name == COMMENT:
        return f"{COMMENT} {item.value}".rstrip()
    head = f"{item.name} {item.key} " if item.key else f"{item.name} "
    for quote in _quotes(item.value):
        line = f"{head}{quote}{item.value}{quote}"
        if _reads_as(line, item):
            return line
    shown = printable(item.value, code=True, limit=60)
    raise InvalidFileError(
        f"a Modelfile cannot hold {shown} as {item.name}",
        hint="it has no escapes: leave out control characters, and lines that end with three quotes",
    )


def _quotes(value: str) -> Iterable[str]:
    return ('"""', '"', "") if "\n" in value or len(value) > 200 else ("", '"', '"""')


def _reads_as(line: str, item: Instruction) -> bool:
    try:
        return list(_instructions(line)) == [item] and list(_instructions(line + "\n")) == [item]
    except InvalidFileError:
        return False
