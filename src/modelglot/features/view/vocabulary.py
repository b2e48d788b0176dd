"""A tokenizer as a table, and chat templates as text: from GGUF's metadata or from the files of a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from modelglot.families.tokenizer import sentencepiece
from modelglot.families.tokenizer.folder import Folder
from modelglot.features.view.columns import shown

PREFIX = "tokenizer.ggml."
TEMPLATE = "tokenizer.chat_template"
_TYPES = {1: "normal", 2: "unknown", 3: "control", 4: "user defined", 5: "unused", 6: "byte"}


class Vocabulary(NamedTuple):
    """``tokens`` by id; ``types`` and ``scores`` beside them, or None where the file has none."""

    kind: str | None
    tokens: Sequence[Any]
    types: Sequence[Any] | None = None
    scores: Sequence[Any] | None = None

    def document(self, start: int, count: int, search: str) -> dict[str, Any]:
        """At most ``count`` of the tokens in whose text ``search`` occurs, or whose id it is, from the ``start``-th."""
        wanted = search.casefold()
        found: Sequence[int] = range(len(self.tokens))
        if wanted:
            found = [n for n, t in enumerate(self.tokens) if wanted in str(t).casefold() or str(n) == wanted]
        rows = [self._row(number) for number in found[start : start + count]]
        return {"total": len(self.tokens), "found": len(found), "kind": self.kind, "rows": rows}

    def _row(self, number: int) -> list[Any]:
        kind = self.types[number] if self.types is not None and number < len(self.types) else None
        score = self.scores[number] if self.scores is not None and number < len(self.scores) else None
        named = kind if kind is None or isinstance(kind, str) else _TYPES.get(int(kind), str(kind))
        return [number, shown(str(self.tokens[number])), named, None if score is None else float(score)]


def of_metadata(metadata: Mapping[str, Any]) -> Vocabulary | None:
    tokens = metadata.get(PREFIX + "tokens")
    if tokens is None:
        return None
    kind = str(metadata.get(PREFIX + "model") or "")
    return Vocabulary(kind or None, tokens, metadata.get(PREFIX + "token_type"), metadata.get(PREFIX + "scores"))


def of_folder(folder: Folder) -> Vocabulary | None:
    """From tokenizer.json, tokenizer.model or vocab.txt. Raises InvalidFileError for a damaged one."""
    model = folder.tokenizer.get("model")
    if isinstance(model, dict):
        return _of_json(model, folder.tokenizer.get("added_tokens"))
    pieces = sentencepiece.stored(folder)
    if pieces is not None:
        return Vocabulary("sentencepiece", pieces.tokens, pieces.types, pieces.scores)
    words = folder.text("vocab.txt")
    return None if words is None else Vocabulary("WordPiece", words.split("\n")[:-1])


def _of_json(model: dict[str, Any], added: Any) -> Vocabulary:
    vocab = model.get("vocab")
    pairs = vocab if isinstance(vocab, list) else []
    scores = {n: p[1] for n, p in enumerate(pairs) if isinstance(p, list) and len(p) == 2}
    tokens = {n: str(p[0]) for n, p in enumerate(pairs) if isinstance(p, list) and p}
    if isinstance(vocab, dict):
        tokens = {n: text for text, n in vocab.items() if isinstance(n, int)}
    types = dict.fromkeys(tokens, "normal")
    for entry in added if isinstance(added, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get("id"), int):
            tokens[entry["id"]] = str(entry.get("content"))
            types[entry["id"]] = "control" if entry.get("special") else "user defined"
    places = range(min(max(tokens, default=-1) + 1, 2 * len(tokens) + 1024))  # ids may be lies
    listed = [tokens.get(n, "") for n in places]
    numbers = [float(scores.get(n, 0)) for n in places] if scores else None
    return Vocabulary(str(model.get("type")), listed, [types.get(n) for n in places], numbers)


def templates(metadata: Mapping[str, Any], place: str) -> list[dict[str, Any]]:
    """Chat templates, never rendered; ``place`` says where they stand."""
    return [
        {"name": key[len(TEMPLATE) + 1 :] or "default", "place": place, "text": shown(str(metadata[key]))}
        for key in metadata
        if key == TEMPLATE or key.startswith(TEMPLATE + ".")
    ]
