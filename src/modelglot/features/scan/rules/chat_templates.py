"""Chat templates, wherever they stand: GGUF metadata, tokenizer_config.json, chat_template.json, .jinja files."""

from __future__ import annotations

from collections.abc import Iterator

from modelglot.core.errors import printable
from modelglot.core.notes import Finding
from modelglot.features.scan.jinja import NotParsed, hazards
from modelglot.features.scan.look import Look, Whole, metadata_texts, objects
from modelglot.features.scan.piece import Piece
from modelglot.features.scan.report import UNSAFE
from modelglot.features.scan.rules.rule import Rule

_HINT = "render it only in a sandbox; other templates for the same model are on its page"
_SUFFIXES = ("jinja", "jinja2", "j2")
_MOST = 64  # templates of one file
_MARKS = ("{{", "{%")


def _of_part(look: Look) -> Iterator[Finding]:
    if look.suffix in _SUFFIXES:
        if look.text is None:
            yield look.piece.incomplete("a template that is no text")
        else:
            yield from check(look.piece, look.text, "")
    elif look.suffix == "txt" and "template" in look.name and look.text is not None:
        yield from check(look.piece, look.text, "")
    elif look.suffix in ("yaml", "yml") and any(mark in (look.text or "") for mark in _MARKS):
        yield from (f for f in check(look.piece, look.text or "", "") if f.severity == UNSAFE)  # most is not Jinja
    for number, (key, text) in enumerate(_in_json(look)):
        if number >= _MOST:
            yield look.piece.incomplete(f"more than {_MOST} templates")
            break
        yield from check(look.piece, text, key)


def _in_json(look: Look) -> Iterator[tuple[str, str]]:
    """Texts of keys that are called templates: one, several with names in a list, or several in an object."""
    for found in objects(look.json):
        for key, value in found:
            if "template" not in key.lower():
                continue
            stack = [value]
            while stack:
                inner = stack.pop()
                if isinstance(inner, str) and any(mark in inner for mark in _MARKS):
                    yield key, inner
                elif isinstance(inner, list):
                    stack += [v[1] if isinstance(v, tuple) else v for v in inner]


def _of_whole(whole: Whole) -> Iterator[Finding]:
    for key, text in metadata_texts(whole):
        if "template" in key.lower() and any(mark in text for mark in _MARKS):
            yield from check(whole.piece, text, key)


def check(piece: Piece, text: str, key: str) -> Iterator[Finding]:
    where = f"{printable(key, code=True)}: " if key else ""
    try:
        for severity, what, line in hazards(text):
            made = piece.unsafe if severity == "unsafe" else piece.unknown
            yield made("chat-template", f"{where}line {line:,}: {what}", None, _HINT)
    except NotParsed as error:
        yield piece.unknown("chat-template", f"{where}not read as Jinja: {error}", None, _HINT)


RULE = Rule(
    "chat-template",
    "A chat template that reaches for code",
    "Jinja in GGUF and safetensors metadata, in JSON under keys called template, in .jinja files",
    _of_part,
    _of_whole,
)
