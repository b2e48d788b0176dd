"""Quantized models of other worlds: what they say of themselves, and their decoding."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from modelglot.containers import strict_json
from modelglot.core.errors import ModelFileError
from modelglot.core.model import Model
from modelglot.core.notes import Note
from modelglot.sources.file import FileSource

_CONFIG_BYTES = 16 << 20
# One of these is in every quantized model; without it nothing more has to be imported.
_SIGNS = (".qweight", ".weight_packed", "weight_scale", "weight_scale_inv", ".SCB", ".scales", "_scales", ".absmax")


def may_be_quantized(model: Model) -> bool:
    return any(name.endswith(_SIGNS) for name in model.tensors)


def method_notes(model: Model) -> list[Note]:
    """One note for each quantization method found in the model."""
    if not may_be_quantized(model):
        return []
    from modelglot.passes.methods.decode import methods

    found = methods(model, quantization_config(model))
    text = "{:,} weights are quantized as {}; `--dtype` decodes them on conversion"
    return [Note("quantized", text.format(count, title)) for title, count in found.items()]


def quantization_config(model: Model) -> Mapping[str, Any]:
    """``quantization_config`` (or MLX's ``quantization``) of the config.json beside the weights; empty without one."""
    ref = next((f for f in model.files if f.name == "config.json" and f.size <= _CONFIG_BYTES), None)
    if ref is None:
        return {}
    try:
        with FileSource(ref.path) as source:
            config = strict_json.loads(source.pread(0, source.size), what="config.json")
    except ModelFileError:
        return {}
    found = config.get("quantization_config") or config.get("quantization") if isinstance(config, dict) else None
    return found if isinstance(found, dict) else {}


def decoded(model: Model) -> Model:
    """The model with every recognised quantized weight as plain float32."""
    if not may_be_quantized(model):
        return model
    from modelglot.passes.methods.decode import decode

    config = quantization_config(model)
    return decode(model, config, _shapes(model, config))


def _shapes(model: Model, config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """bitsandbytes writes the shape of a 4-bit weight into a small tensor of JSON bytes, so that has to be read."""
    from modelglot.engine.pool import SourcePool
    from modelglot.engine.stream import read
    from modelglot.passes.methods.decode import groups

    found: dict[str, tuple[int, ...]] = {}
    states = [
        (stem + method.weight, next((t for s, t in group.items() if ".quant_state." in s), None))
        for stem, method, group, _ in groups(model.tensors, config)
        if method.kernel == "bnb4"
    ]
    pool = SourcePool(model.files)
    try:
        for name, state in states:
            if state is None or state.nbytes > 65536:
                continue
            try:
                shape = json.loads(bytes(read(state, pool)))["shape"]
            except (ValueError, KeyError, TypeError):
                continue
            if isinstance(shape, list) and all(type(n) is int and n >= 0 for n in shape):
                found[name] = tuple(shape)
    finally:
        pool.close()
    return found
