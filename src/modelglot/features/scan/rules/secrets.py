"""Tokens and private keys that were left in metadata and settings: notes, which change no verdict."""

from __future__ import annotations

import re
from collections.abc import Iterator

from modelglot.core.errors import printable
from modelglot.core.notes import Finding
from modelglot.features.scan.look import Look, Whole, is_vocabulary, settings_texts
from modelglot.features.scan.rules.rule import Rule

ID = "secret"
_HINT = "withdraw it where it was issued: the file is public once it was shared"
_KINDS = (
    ("a token of Hugging Face", r"\bhf_[A-Za-z0-9]{30,40}\b"),
    ("a token of GitHub", r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60,90})\b"),
    ("a key of AWS", r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    ("a key of OpenAI or Anthropic", r"\bsk-(?:proj-|ant-[a-z0-9]+-)?[A-Za-z0-9_-]{32,200}"),
    ("a key of Google", r"\bAIza[A-Za-z0-9_-]{35}\b"),
    ("a token of Slack", r"\bxox[abprs]-[A-Za-z0-9-]{20,}"),
    ("a token of GitLab", r"\bglpat-[A-Za-z0-9_-]{20}\b"),
    ("a token of PyPI", r"\bpypi-[A-Za-z0-9_-]{60,}"),
    ("a private key", r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----"),
    ("a password in an address", r"\b[a-z][a-z+]{2,12}://[^\s/:@\"']{1,60}:[^\s/:@\"']{6,80}@[\w.-]+"),
)
_ALL = re.compile("|".join(f"({pattern})" for _, pattern in _KINDS))


def _of_part(look: Look) -> Iterator[Finding]:
    if not is_vocabulary(look) and look.piece.window.length <= 8 << 20 and look.text is not None:
        yield from _in(look, look.text, "")


def _of_whole(whole: Whole) -> Iterator[Finding]:
    for key, text in settings_texts(whole):
        yield from _in(whole.look, text, key)


def _in(look: Look, text: str, key: str) -> Iterator[Finding]:
    where = f"{printable(key, code=True, limit=60)}: " if key else ""
    for found in _ALL.finditer(text):
        kind = _KINDS[(found.lastindex or 1) - 1][0]
        shown = printable(found[0][:8], code=True)  # not again in a report that is passed on
        yield look.piece.note(ID, f"{where}{kind}, beginning with {shown}", None if key else found.start(), _HINT)


RULE = Rule(ID, "A secret left in the file", "metadata, settings and texts", _of_part, _of_whole)
