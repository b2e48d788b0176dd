"""The text files beside the weights: config.json, tokenizer files, model card."""

from __future__ import annotations

import os
from typing import Any

from modelglot.core.errors import ModelFileError
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.engine.pool import SourcePool
from modelglot.families.tokenizer.folder import Folder


def folder_of(model: Model, source: str, limits: Limits) -> Folder:
    """The text files beside the weights, read one by one when asked for. Raises LimitError for one that is too long."""
    sides = {side.name: side for side in model.sides}

    def read_side(name: str) -> bytes | None:
        side = sides.get(name)
        if side is None or side.extent is None:
            return side.data if side else None
        extent = side.extent
        limits.check("header", extent.length, f"`{name}`")
        pool = SourcePool(model.files)
        try:
            return pool(extent.file).pread(extent.offset, extent.length)
        finally:
            pool.close()

    return Folder(read_side, tuple(sides), os.path.basename(os.path.abspath(source)))


def config_of(model: Model, source: str, limits: Limits) -> dict[str, Any]:
    """config.json beside the weights; empty where there is none or it is damaged, which is noted elsewhere."""
    try:
        return folder_of(model, source, limits).config
    except ModelFileError:
        return {}
