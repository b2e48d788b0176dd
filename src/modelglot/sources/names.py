"""Names that files give to other files: they may not lead out of the folder."""

from __future__ import annotations

import os

from modelglot.core.errors import UnsafeContentError


def check_name(name: str, root: str) -> list[str]:
    """The parts of a name below ``root``. Raises UnsafeContentError for one that leaves it."""
    parts = name.replace("\\", "/").split("/")
    away = name.startswith(("/", "~")) or ".." in parts or (os.name == "nt" and ":" in name)
    if not name or "\0" in name or away:
        raise UnsafeContentError("names a file outside its folder, which was not opened", path=root, member=name)
    return parts
