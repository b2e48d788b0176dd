"""A tokenizer as a table, in the words of GGUF's metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelglot.features.view.columns import shown

PREFIX = "tokenizer.ggml."
_TYPES = {1: "normal", 2: "unknown", 3: "control", 4: "user defined", 5: "unused", 6: "byte"}


def vocabulary(metadata: Mapping[str, Any], start: int, count: int, search: str) -> dict[str, Any]:
    """Tokens from number ``start`` of those in whose text ``search`` occurs (or whose id it is), at most ``count``."""
    tokens = metadata.get(PREFIX + "tokens") or ()
    types, scores = metadata.get(PREFIX + "token_type"), metadata.get(PREFIX + "scores")
    wanted = search.casefold()
    found = [
        number
        for number, token in enumerate(tokens)
        if not wanted or wanted in str(token).casefold() or str(number) == wanted
    ]
    rows = [
        [number, shown(str(tokens[number])), _type(types, number), _score(scores, number)]
        for number in found[start : start + count]
    ]
    kind = metadata.get(PREFIX + "model")
    return {"total": len(tokens), "found": len(found), "kind": None if kind is None else str(kind), "rows": rows}


def _type(types: Any, number: int) -> str | None:
    if types is None or number >= len(types):
        return None
    return _TYPES.get(int(types[number]), str(types[number]))


def _score(scores: Any, number: int) -> float | None:
    return None if scores is None or number >= len(scores) else float(scores[number])


def templates(metadata: Mapping[str, Any], place: str) -> list[dict[str, Any]]:
    """Chat templates as text; they are never rendered."""
    start = "tokenizer.chat_template"
    return [
        {"name": key[len(start) + 1 :] or "default", "place": place, "text": shown(str(metadata[key]))}
        for key in metadata
        if key == start or key.startswith(start + ".")
    ]
