"""Quantized models of other worlds: what they say of themselves, and their decoding."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from modelglot.containers import strict_json
from modelglot.core.errors import ModelFileError
from modelglot.core.model import Model
from modelglot.core.notes import Note
from modelglot.core.tensor import Missing, Tensor
from modelglot.sources.file import FileSource

_CONFIG_BYTES = 16 << 20
# One of these is in every quantized model; without it nothing more has to be imported.
_SIGNS = (".qweight", ".weight_packed", "weight_scale", "weight_scale_inv", ".SCB", ".scales", "_scales", ".absmax",
          ".W_q", "._weight_qdata")  # fmt: skip


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
    """Shapes that only a value in the file tells, so that it has to be read: bitsandbytes' 4-bit weights, HQQ's."""
    from modelglot.engine.pool import SourcePool
    from modelglot.engine.stream import read
    from modelglot.passes.methods.decode import groups

    found: dict[str, tuple[int, ...]] = {}
    pool = SourcePool(model.files)
    try:
        for stem, method, group, _ in groups(model.tensors, config):
            if method.kernel not in ("bnb4", "hqq"):
                continue
            state = next((t for s, t in group.items() if s == "shape" or ".quant_state." in s), None)
            if state is None or state.nbytes > 65536 or isinstance(state.data, Missing):
                continue
            shape = _numbers(bytes(read(state, pool)), state, method.kernel)
            if isinstance(shape, list) and all(type(n) is int and n >= 0 for n in shape):
                found[stem + method.weight] = tuple(shape)
    finally:
        pool.close()
    return found


def _numbers(raw: bytes, state: Tensor, kernel: str) -> Any:
    """JSON in a tensor of bytes, or a tensor of integers."""
    if kernel == "hqq":
        size = state.dtype.itemsize
        return [int.from_bytes(raw[i : i + size], "little", signed=True) for i in range(0, len(raw), size or 1)]
    try:
        return json.loads(raw)["shape"]
    except (ValueError, KeyError, TypeError):
        return None
