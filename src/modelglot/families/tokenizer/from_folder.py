"""The tokenizer of a model folder as GGUF's metadata: which kind it is, and each kind's own module."""

from __future__ import annotations

from modelglot.core.errors import UnsupportedError, printable
from modelglot.core.metadata import Entry
from modelglot.families.family import Config, Family
from modelglot.families.tokenizer import bpe, sentencepiece, specials, wordpiece
from modelglot.families.tokenizer.folder import Folder


def entries(folder: Folder, family: Family, config: Config, settings: dict[str, str]) -> dict[str, Entry]:
    """``tokenizer.*``, from the files the family's models come with. Raises UnsupportedError for an unknown kind."""
    found = config.first("vocab_size")
    size = found if isinstance(found, int) else None
    made = _entries(folder, family, config, size, settings)
    prefix = folder.settings.get("add_prefix_space")
    if family.arch == "llama" and isinstance(prefix, bool):
        made = {"tokenizer.ggml.add_space_prefix": Entry(prefix, "bool"), **made}
    return _with_roles(made, family)


def _with_roles(made: dict[str, Entry], family: Family) -> dict[str, Entry]:
    """The tokens that the family has for roles nobody named, after those that were."""
    tokens = made[specials.PREFIX + "tokens"].value
    keys = {specials.PREFIX + specials.IDS[role]: text for role, text in family.tokens.items()}
    more = {k: Entry(tokens.index(text), "u32") for k, text in keys.items() if k not in made and text in tokens}
    names = list(made)
    last = max((n for n, k in enumerate(names) if k.endswith(("_token_id", ".merges", ".token_type"))), default=-1) + 1
    return {k: made[k] for k in names[:last]} | more | {k: made[k] for k in names[last:]}


def _entries(
    folder: Folder, family: Family, config: Config, size: int | None, settings: dict[str, str]
) -> dict[str, Entry]:
    model = folder.tokenizer.get("model") or {}
    kind = model.get("type")
    if family.sentencepiece and (pieces := sentencepiece.stored(folder)) is not None:
        return sentencepiece.entries(folder, pieces, size)
    if kind == "Unigram" or (kind == "BPE" and model.get("byte_fallback")):
        return sentencepiece.entries(folder, sentencepiece.from_json(folder), size)
    if kind == "WordPiece" or (not folder.tokenizer and folder.text("vocab.txt") is not None):
        segments = config.get("type_vocab_size", 1)
        return wordpiece.entries(folder, size, segments)
    if kind in ("BPE", None):
        return bpe.entries(folder, size, settings)
    raise UnsupportedError(
        f"a tokenizer of the kind {printable(str(kind), code=True)} has no form in GGUF",
        hint="`--plain` carries the tensors without a tokenizer",
    )
