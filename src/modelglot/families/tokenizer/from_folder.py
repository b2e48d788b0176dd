"""The tokenizer of a model folder as GGUF's metadata: which kind it is, and each kind's own module."""

from __future__ import annotations

from modelglot.core.errors import UnsupportedError
from modelglot.core.metadata import Entry
from modelglot.families.family import Config, Family
from modelglot.families.tokenizer import bpe
from modelglot.families.tokenizer.folder import Folder


def entries(folder: Folder, family: Family, config: Config, settings: dict[str, str]) -> dict[str, Entry]:
    """``tokenizer.*``. Raises UnsupportedError for a kind that is not known."""
    size = config.first("vocab_size")
    made = bpe.entries(folder, size if isinstance(size, int) else None, settings)
    prefix = folder.settings.get("add_prefix_space")
    if family.arch == "llama" and isinstance(prefix, bool):
        made = {"tokenizer.ggml.add_space_prefix": Entry(prefix, "bool"), **made}
    return made


def unknown(kind: str) -> UnsupportedError:
    return UnsupportedError(f"a tokenizer of the kind `{kind}` has no form in GGUF")
