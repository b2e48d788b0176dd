"""A state dict as the checkpoint that ``LightningModule.load_from_checkpoint`` takes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from modelglot.core.errors import UnsupportedError, printable
from modelglot.core.format import Format
from modelglot.core.model import Model
from modelglot.core.tree import Node, TensorRef

_VERSION = "2.0.0"  # Lightning migrates what older versions wrote; since 2.0 these keys are all it asks for
_SETTING = "lightning:"


def to_lightning(model: Model, target: Format, settings: Mapping[str, str]) -> Model:
    """The tensors under ``state_dict``, and ``lightning:NAME=VALUE`` among ``settings`` as hyper-parameters.

    Raises UnsupportedError where the target is no PyTorch file.
    """
    if target.info.name != "torch-zip":
        raise UnsupportedError("`--dialect lightning` is for PyTorch files", hint="give a target such as `out.ckpt`")
    tensors = {f"state_dict.{name}": replace(t, name=f"state_dict.{name}") for name, t in model.tensors.items()}
    refs = [(name, TensorRef(f"state_dict.{name}")) for name in model.tensors]
    given = {k.removeprefix(_SETTING): _value(v) for k, v in settings.items() if k.startswith(_SETTING)}
    parts: list[tuple[str, Any]] = [
        ("epoch", 0),
        ("global_step", 0),
        ("pytorch-lightning_version", _VERSION),
        ("state_dict", Node("ordereddict", refs)),
    ]
    if given:
        parts.append(("hyper_parameters", Node("dict", list(given.items()))))
    return replace(model, tensors=tensors, tree=Node("dict", parts))


def _value(text: str) -> Any:
    """A number, true, false or null as JSON writes them; text otherwise."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if isinstance(found, (dict, list)):
        raise UnsupportedError(f"{printable(text, code=True)} is no plain hyper-parameter", hint="numbers, text, true")
    return found
