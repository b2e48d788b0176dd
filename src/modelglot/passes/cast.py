"""Ask for other dtypes: each matching float tensor becomes the `cast` kernel's result."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fnmatch import fnmatchcase

from modelglot.core.dtype import DTYPES
from modelglot.core.encoding import PLAIN, Plain
from modelglot.core.errors import UnsupportedError, printable
from modelglot.core.model import Model
from modelglot.core.tensor import Derived, Missing, Tensor

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

    Integer, bool and complex tensors stay as they are. Quantized blocks raise UnsupportedError: they are decoded by
    another pass.
    """
    ordered = sorted(rules, key=lambda r: r[0] == "*")
    if not ordered:
        return model
    return replace(model, tensors={n: _cast(t, ordered) for n, t in model.tensors.items()})


def _cast(tensor: Tensor, rules: list[Rule]) -> Tensor:
    goal = next((DTYPES[name] for glob, name in rules if fnmatchcase(tensor.name, glob)), None)
    if goal is None or isinstance(tensor.data, Missing):
        return tensor
    if not isinstance(tensor.encoding, Plain):
        raise UnsupportedError(
            f"`{tensor.type_name}` cannot be turned into `{goal}` by this version",
            tensor=tensor.name,
            hint="leave out `--dtype` to keep the stored blocks",
        )
    if tensor.dtype.kind != "float" or tensor.dtype is goal:
        return tensor
    params = {"from": tensor.dtype.name, "to": goal.name}
    return replace(tensor, dtype=goal, encoding=PLAIN, data=Derived("cast", (tensor,), params))
