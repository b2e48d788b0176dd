"""What goes beside a model for a runtime, as data: the files, what is to be said, and the command that comes next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from modelglot.core.metadata import Metadata, is_array
from modelglot.core.model import SideFile
from modelglot.core.notes import Note

CONTEXT = 8192  # tokens that an ordinary machine has room for; many models can do far more


@dataclass(frozen=True, slots=True)
class Package:
    """``next`` is a command line or an action; ``{out}`` in it stands for the folder."""

    sides: tuple[SideFile, ...]
    notes: tuple[Note, ...]
    next: str


def text_side(name: str, what: str, text: str) -> SideFile:
    return SideFile(name, None, what, text.encode())


def context(metadata: Metadata) -> int | None:
    """A context length that works: the model's own, at most `CONTEXT`."""
    value = metadata.get(f"{metadata.get('general.architecture')}.context_length")
    return min(value, CONTEXT) if isinstance(value, int) and value > 0 else None


def token(metadata: Metadata, role: str) -> str | None:
    """The text of a special token such as ``eos``."""
    number, tokens = metadata.get(f"tokenizer.ggml.{role}_token_id"), metadata.get("tokenizer.ggml.tokens")
    if not isinstance(number, int) or tokens is None or not is_array(tokens) or not 0 <= number < len(tokens):
        return None
    return str(tokens[number])


def sampling(metadata: Metadata, names: dict[str, str]) -> dict[str, Any]:
    """``general.sampling.*`` under the runtime's names; floats as they were written before they became 32-bit."""
    found = ((new, metadata.get(f"general.sampling.{old}")) for old, new in names.items())
    return {n: float(f"{v:.7g}") if isinstance(v, float) else v for n, v in found if isinstance(v, (int, float))}


def is_embedding(metadata: Metadata) -> bool:
    """A model for embeddings: it pools, and does not generate."""
    return f"{metadata.get('general.architecture')}.pooling_type" in metadata
