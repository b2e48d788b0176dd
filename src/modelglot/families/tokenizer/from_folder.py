"""The tokenizer of a model folder as GGUF's metadata: which kind it is, and each kind's own module."""

from __future__ import annotations

from modelglot.core.errors import UnsupportedError, printable
from modelglot.core.metadata import Entry
from modelglot.families.family import Config, Family
from modelglot.families.tokenizer import bpe, sentencepiece, wordpiece
from modelglot.families.tokenizer.folder import Folder


def entries(folder: Folder, family: Family, config: Config, settings: dict[str, str]) -> dict[str, Entry]:
    """``tokenizer.*``, from the files the family's models come with. Raises UnsupportedError for an unknown kind."""
    found = config.first("vocab_size")
    size = found if isinstance(found, int) else None
    made = _entries(folder, family, config, size, settings)
    prefix = folder.settings.get("add_prefix_space")
    if family.arch == "llama" and isinstance(prefix, bool):
        made = {"tokenizer.ggml.add_space_prefix": Entry(prefix, "bool"), **made}
    return made


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
