"""Paths of somebody's home in metadata and settings: notes, which change no verdict."""

from __future__ import annotations

import re
from collections.abc import Iterator

from modelglot.core.errors import printable
from modelglot.core.notes import Finding
from modelglot.features.scan.look import Look, Whole, is_vocabulary, settings_texts
from modelglot.features.scan.rules.rule import Rule

ID = "home-path"
_PATH = re.compile(r"(?<![\w.])(?:/home/|/Users/|[A-Za-z]:\\{1,2}Users\\{1,2})([\w.-]{1,40})(?=[/\\])")
_NOBODY = ("user", "username", "runner", "ubuntu", "root", "your_username", "name", "me", "you", "jovyan")
_SUFFIXES = ("json", "yaml", "yml", "toml", "cfg", "ini", "txt", "")


def _of_part(look: Look) -> Iterator[Finding]:
    small = look.piece.window.length <= 8 << 20 and look.suffix in _SUFFIXES
    if small and not is_vocabulary(look) and look.text is not None:
        yield from _in(look, look.text, "")


def _of_whole(whole: Whole) -> Iterator[Finding]:
    for key, text in settings_texts(whole):
        yield from _in(whole.look, text, key)


def _in(look: Look, text: str, key: str) -> Iterator[Finding]:
    where = f"{printable(key, code=True, limit=60)}: " if key else ""
    for name in dict.fromkeys(m[1] for m in _PATH.finditer(text)):
        if name.lower() not in _NOBODY:
            yield look.piece.note(ID, f"{where}a path in the home of {printable(name, code=True)}")


RULE = Rule(ID, "A path of somebody's home", "metadata and settings", _of_part, _of_whole)
