"""The text files of a model folder, read when they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from modelglot.containers import strict_json
from modelglot.core.errors import InvalidFileError, located
from modelglot.core.lazy import lazy

Read = Callable[[str], "bytes | None"]


class Folder:
    """``read`` gives the bytes of a file of the folder by name, or None; ``names`` lists them."""

    def __init__(self, read: Read, names: tuple[str, ...], title: str = "model") -> None:
        self.read, self.names, self.title = read, names, title

    def json(self, name: str) -> dict[str, Any]:
        """The object in a JSON file; empty where there is no such file. Raises InvalidFileError."""
        raw = self.read(name)
        if raw is None:
            return {}
        with located(member=name):
            found = strict_json.loads(raw, what=name)
            if not isinstance(found, dict):
                raise InvalidFileError(f"{name} is no JSON object")
        return found

    def text(self, name: str) -> str | None:
        raw = self.read(name)
        return None if raw is None else raw.decode("utf-8", "replace")

    @lazy
    def config(self) -> dict[str, Any]:
        return self.json("config.json")

    @lazy
    def tokenizer(self) -> dict[str, Any]:
        """tokenizer.json, which has everything for the fast tokenizers."""
        return self.json("tokenizer.json")

    @lazy
    def settings(self) -> dict[str, Any]:
        return self.json("tokenizer_config.json")
