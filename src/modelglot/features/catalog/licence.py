"""Which licence a model says it has: its own metadata, or the front matter of its model card."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_KEYS = ("general.license", "general.license.name", "license", "modelspec.license", "onnx.license")
_CARD = "README.md"
_FRONT = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)\r?\n---", re.DOTALL)
_LINE = re.compile(r"^license(_name)?[ \t]*:[ \t]*(.*)$", re.MULTILINE)
_ITEM = re.compile(r"\A(?:\r?\n[ \t]*-[ \t]*([^\r\n]+))+")
CARD, CARD_BYTES = _CARD, 1 << 20  # of a card that is read: the front matter is at its top


def licence_of(metadata: Mapping[str, Any], card: bytes | None) -> str | None:
    """The file's own statement first; of a card ``license_name`` where ``license`` is `other`."""
    for key in _KEYS:
        value = metadata.get(key)
        if isinstance(value, str) and value.strip():
            return value.strip()
    return from_card(card.decode("utf-8", "replace")) if card is not None else None


def from_card(card: str) -> str | None:
    front = _FRONT.match(card)
    if front is None:
        return None
    found: dict[str, str] = {}
    for m in _LINE.finditer(front[1]):
        value = _plain(m[2])
        if not value:
            item = _ITEM.match(front[1][m.end() :])
            value = _plain(item[0].split("-", 1)[1].split("\n")[0]) if item else ""
        if value:
            found.setdefault(m[1] or "", value)
    return found.get("_name") if found.get("") in (None, "other") and "_name" in found else found.get("")


def _plain(value: str) -> str:
    return re.sub(r"\s+#.*$", "", value).strip().strip("[]").strip().strip("\"'")
