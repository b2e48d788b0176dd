"""Meta's llama layout to Hugging Face's and back: tensors by `families.original`, and the files beside them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from modelglot.api.folders import folder_of
from modelglot.core.errors import InvalidFileError, UnsupportedError
from modelglot.core.limits import Limits
from modelglot.core.model import Model, SideFile
from modelglot.core.notes import Loss, Note
from modelglot.families import original, registry
from modelglot.families.family import Config
from modelglot.families.original_params import params_of
from modelglot.families.tokenizer.sentencepiece import TIKTOKEN_HINT, is_tiktoken

FILE = "consolidated.00.pth"
_STALE = ("params.json", "checklist.chk", "config.json")  # said by the other side's file, sums of files left behind


def is_original(model: Model) -> bool:
    """True for a folder with tensors and params.json as Meta publishes them."""
    return any(s.name == "params.json" for s in model.sides) and original.slices(model.tensors) > 0


def from_meta(model: Model, source: str, limits: Limits | None) -> Model:
    """The model as if read from a Hugging Face folder; config.json is a side made in memory."""
    folder = folder_of(model, source, limits or Limits())
    params = folder.json("params.json")
    if not params:
        raise InvalidFileError("params.json is empty")
    made, config = original.to_hugging_face(model, params)
    sides = [SideFile("config.json", None, "architecture and hyper-parameters", _json(config))]
    sides += [s for s in model.sides if s.name not in _STALE]
    notes = made.notes
    tokens = folder.read("tokenizer.model")
    if tokens is not None and is_tiktoken(tokens) and "tokenizer.json" not in folder.names:
        text = "`tokenizer.model` is a tiktoken file, carried as it is; transformers and GGUF need tokenizer.json: "
        notes = (*notes, Note("tiktoken", text + TIKTOKEN_HINT, "warning"))
    return replace(made, sides=tuple(sides), notes=notes)


def to_meta(model: Model, source: str, limits: Limits | None) -> tuple[Model, list[Loss]]:
    """A Hugging Face llama as Meta's one file with params.json beside it, and what that cannot say."""
    found = folder_of(model, source, limits or Limits()).config
    if not found or registry.by_config(found).name != "llama" or found.get("model_type", "llama") != "llama":
        raise UnsupportedError(
            "only llama models have the original layout", hint="the source is a folder with config.json, or GGUF"
        )
    family = registry.by_config(found)
    params, losses = params_of(found, family.defaults)
    sides = [SideFile("params.json", None, "hyper-parameters (original layout)", _json(params))]
    sides += [s for s in model.sides if s.name not in _STALE]
    return replace(original.from_hugging_face(model, Config(found, family.defaults)), sides=tuple(sides)), losses


def _json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()
