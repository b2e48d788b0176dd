"""Ask for other dtypes: each matching tensor becomes the `cast` kernel's result.

Rules with a float dtype are for float tensors. Integers are only touched where a rule can mean nothing else: its dtype
is an integer (which needs a glob other than ``*``), or its glob fits no float tensor at all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fnmatch import fnmatchcase
from hashlib import blake2b

from modelglot.core.derive import as_dtype, dequantize
from modelglot.core.dtype import DTYPES, DType
from modelglot.core.encoding import Blocks, Plain
from modelglot.core.errors import UnsupportedError, printable
from modelglot.core.model import Model
from modelglot.core.tensor import Derived, Missing, Tensor

DECODED = ("f32", "f16", "bf16")  # what blocks decode to in one step
_NUMBERS = ("float", "int", "uint", "bool")
Rule = tuple[str, str]  # (glob, dtype name)


def parse_rules(texts: Iterable[str]) -> list[Rule]:
    """``bf16``, ``GLOB=f32`` or ``GLOB=i32``. Raises UnsupportedError for a dtype that nothing is cast to."""
    rules = []
    for text in texts:
        glob, _, name = text.rpartition("=")
        kind = DTYPES[name].kind if name in DTYPES and DTYPES[name].bits >= 8 else ""
        if kind not in ("float", "int", "uint"):
            names = ", ".join(n for n, d in DTYPES.items() if d.kind in ("float", "int", "uint") and d.bits >= 8)
            raise UnsupportedError(f"{printable(name, code=True)} is not a dtype to cast to", hint=f"one of {names}")
        if kind != "float" and glob in ("", "*"):
            raise UnsupportedError(
                f"`{name}` for all tensors would round every weight to an integer",
                hint=f"say which ones: `--dtype 'GLOB={name}'`",
            )
        rules.append((glob or "*", name))
    return rules


def parse_rounding(text: str) -> int | None:
    """The seed of ``stochastic[:SEED]``, None for ``nearest``. Raises UnsupportedError for anything else."""
    name, _, seed = text.partition(":")
    if text == "nearest":
        return None
    if name != "stochastic" or not (seed or "0").isdecimal() or len(seed) > 19 or text.endswith(":"):
        raise UnsupportedError(
            f"{printable(text, code=True)} is not a rounding", hint="write `nearest`, `stochastic` or `stochastic:SEED`"
        )
    return int(seed or "0")


def cast(model: Model, rules: Iterable[Rule], seed: int | None = None) -> Model:
    """The first rule whose glob fits decides, so specific globs come before ``*``.

    Quantized blocks are decoded. With ``seed`` floats are rounded by chance, by seed, name and index of the element.
    """
    ordered = sorted(rules, key=lambda r: r[0] == "*")
    if not ordered:
        return model
    both = {glob for glob, _ in ordered if glob == "*" or _fits_floats(glob, model)}
    return replace(model, tensors={n: _cast(t, ordered, both, seed) for n, t in model.tensors.items()})


def _fits_floats(glob: str, model: Model) -> bool:
    return any(fnmatchcase(n, glob) and t.dtype.kind == "float" for n, t in model.tensors.items())


def _cast(tensor: Tensor, rules: list[Rule], both: set[str], seed: int | None) -> Tensor:
    glob, name = next((r for r in rules if fnmatchcase(tensor.name, r[0])), ("", ""))
    if not name or isinstance(tensor.data, Missing):
        return tensor
    goal = DTYPES[name]
    if isinstance(tensor.encoding, Blocks):
        tensor = dequantize(tensor, name if name in DECODED and seed is None else "f32")
    elif not isinstance(tensor.encoding, Plain) or tensor.dtype.kind not in _NUMBERS or tensor.dtype.bits < 8:
        return tensor
    if tensor.dtype.kind != "float" and goal.kind == "float" and glob in both:
        return tensor
    made, more = as_dtype(tensor, name), _rounding(tensor, goal, seed)
    if more and isinstance(made.data, Derived):
        made = replace(made, data=replace(made.data, params={**made.data.params, **more}))
    return made


def _rounding(tensor: Tensor, goal: DType, seed: int | None) -> dict[str, object]:
    if seed is None or tensor.dtype.kind != "float" or goal.kind != "float" or goal.bits >= tensor.dtype.bits:
        return {}
    text = f"{seed}\0{tensor.name}".encode("utf-8", "surrogateescape")
    key = int.from_bytes(blake2b(text, digest_size=8).digest(), "little")
    return {"rounding": "stochastic", "key": key}
