"""WordPiece: Hugging Face marks what continues a word, GGUF what begins one."""

from __future__ import annotations

from typing import Any

from modelglot.core.errors import UnsupportedError
from modelglot.core.metadata import Entry
from modelglot.families.tokenizer import bpe, pre, specials
from modelglot.families.tokenizer.folder import Folder
from modelglot.families.tokenizer.kinds import CONTROL
from modelglot.families.tokenizer.specials import PREFIX


def entries(folder: Folder, vocab_size: int | None, segments: int) -> dict[str, Entry]:
    """``tokenizer.ggml.*`` of kind `bert`; ``segments`` is the number of token types of the model."""
    whole = folder.tokenizer or _from_text(folder)
    tokens, types = bpe.vocabulary(folder, whole, vocab_size)
    marked = [_marked(t, k) for t, k in zip(tokens, types, strict=True)]
    made = {
        PREFIX + "token_type_count": Entry(segments, "u32"),
        PREFIX + "model": Entry("bert", "str"),
        PREFIX + "pre": Entry(pre.name_by_probe(whole) or "jina-v2-en", "str"),
        PREFIX + "tokens": Entry(marked, "array[str]"),
        PREFIX + "token_type": Entry(types, "array[i32]"),
    }
    return made | specials.entries(folder, len(tokens)) | _normalizer(whole)


def _marked(token: str, kind: int) -> str:
    if kind == CONTROL:
        return token
    return token[2:] if token.startswith("##") else bpe.SPACE + token


def _normalizer(whole: dict[str, Any]) -> dict[str, Entry]:
    """What llama.cpp does to the text first. Its default is lower case with accents stripped."""
    given = whole.get("normalizer") or {}
    made = {}
    for name in ("lowercase", "strip_accents"):
        if isinstance(given.get(name), bool):
            made[f"{PREFIX}normalizer.{name}"] = Entry(given[name], "bool")
    return made


def _from_text(folder: Folder) -> dict[str, Any]:
    """vocab.txt, a token a line."""
    text = folder.text("vocab.txt")
    if text is None:
        raise UnsupportedError("the folder has neither tokenizer.json nor vocab.txt")
    tokens = text.splitlines()
    special = [t for t in tokens if t.startswith("[") and t.endswith("]") and t.isupper() and "unused" not in t]
    lower = folder.settings.get("do_lower_case", True)
    return {
        "model": {"type": "WordPiece", "vocab": {t: n for n, t in enumerate(tokens)}},
        "added_tokens": [{"id": tokens.index(t), "content": t, "special": True} for t in special],
        "normalizer": {"type": "BertNormalizer", "lowercase": lower},
    }
