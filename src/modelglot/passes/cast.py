"""Ask for other dtypes: each matching float tensor becomes the `cast` kernel's result."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fnmatch import fnmatchcase

from modelglot.core.derive import DECODED, as_dtype, dequantize
from modelglot.core.dtype import DTYPES
from modelglot.core.encoding import Blocks, Plain
from modelglot.core.errors import UnsupportedError, printable
from modelglot.core.model import Model
from modelglot.core.tensor import Missing, Tensor


Rule = tuple[str, str]  # (glob, dtype name)


def parse_rules(texts: Iterable[str]) -> list[Rule]:
    """``bf16`` or ``GLOB=f32``. Raises UnsupportedError for a dtype nobody knows."""
    rules = []
    for text in texts:
        glob, _, name = text.rpartition("=")
        if name not in DTYPES or DTYPES[name].kind != "float" or DTYPES[name].bits < 8:
            floats = ", ".join(n for n, d in DTYPES.items() if d.kind == "float" and d.bits >= 8)
            what = f"{printable(name, code=True)} is not a float dtype to cast to"
            raise UnsupportedError(what, hint=f"one of {floats}")
        rules.append((glob or "*", name))
    return rules


def cast(model: Model, rules: Iterable[Rule]) -> Model:
    """The first rule whose glob fits decides, so specific globs come before ``*``.

    Quantized blocks are decoded. Integer, bool and complex tensors stay as they are.
    """
    ordered = sorted(rules, key=lambda r: r[0] == "*")
    if not ordered:
        return model
    return replace(model, tensors={n: _cast(t, ordered) for n, t in model.tensors.items()})


def _cast(tensor: Tensor, rules: list[Rule]) -> Tensor:
    goal = next((DTYPES[name] for glob, name in rules if fnmatchcase(tensor.name, glob)), None)
    if goal is None or isinstance(tensor.data, Missing):
        return tensor
    if isinstance(tensor.encoding, Blocks):
        made = dequantize(tensor, goal.name if goal.name in DECODED else "f32")
        return as_dtype(made, goal.name)
    if not isinstance(tensor.encoding, Plain) or tensor.dtype.kind != "float" or tensor.dtype is goal:
        return tensor
    return as_dtype(tensor, goal.name)
