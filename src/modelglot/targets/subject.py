"""What a check looks at: a model, or why there is none, and the names and texts around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from modelglot.core.errors import ModelFileError
from modelglot.core.model import Model
from modelglot.families.tokenizer.folder import Folder
from modelglot.targets.report import Obstacle, blocker, warning


@dataclass(frozen=True, slots=True)
class Subject:
    """``model`` is None where nothing could be read, and then ``error`` says why. ``folder`` reads files of the
    folder by name; a single file has an empty one."""

    path: str
    model: Model | None
    error: ModelFileError | None
    folder: Folder

    @property
    def is_gguf(self) -> bool:
        return self.model is not None and self.model.format == "gguf"

    def has(self, *names: str) -> bool:
        return any(name in self.folder.names for name in names)

    def config(self) -> dict[str, Any]:
        """config.json; empty where it is absent or no JSON object, which other findings name."""
        try:
            return self.folder.config
        except ModelFileError:
            return {}

    def architecture(self) -> str | None:
        """The first name under ``architectures`` of config.json."""
        names = self.config().get("architectures")
        return names[0] if isinstance(names, list) and names and isinstance(names[0], str) else None


def unreadable(subject: Subject) -> list[Obstacle]:
    """Why there is no model."""
    error = subject.error
    return [blocker("unreadable", f"it cannot be read: {error.what}", error.hint)] if error else []


def whole(model: Model) -> list[Obstacle]:
    """Missing shards, cut files: what the reader noticed, for any runtime."""
    bad = {"truncated": "download it again", "missing-shard": "download the missing files"}
    found = [blocker(n.code, n.text, bad[n.code]) for n in model.notes if n.code in bad]
    return found + [warning(n.code, n.text) for n in model.notes if n.code == "trailing-bytes"]
