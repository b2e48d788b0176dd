"""Caffe's batch norms keep mean and variance multiplied by a factor, in a tensor of its own: other worlds do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from modelglot.core.encoding import Plain
from modelglot.core.layer import LAYER, ROLE
from modelglot.core.tensor import Derived, Tensor


def without_factors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Mean and variance as they are used, in float32, and no factor where both could be told."""
    factors = {t.extra.get(LAYER): n for n, t in tensors.items() if t.extra.get(ROLE) == "factor" and t.shape == (1,)}
    made, spent = dict(tensors), dict.fromkeys(factors.values(), True)
    for name, tensor in tensors.items():
        factor = factors.get(tensor.extra.get(LAYER))
        if factor is None or tensor.extra.get(ROLE) not in ("mean", "variance"):
            continue
        if tensor.dtype.name == tensors[factor].dtype.name == "f32" and isinstance(tensor.encoding, Plain):
            made[name] = replace(tensor, data=_divided(tensor, tensors[factor]))
        else:
            spent[factor] = False
    return {name: tensor for name, tensor in made.items() if not spent.get(name)}


def _divided(tensor: Tensor, factor: Tensor) -> Derived:
    params = {
        "inputs": ["values", "factor"],
        "dtypes": [tensor.dtype.name, factor.dtype.name],
        "shapes": [list(tensor.shape), list(factor.shape)],
        "shape": list(tensor.shape),
    }
    return Derived("divided", (tensor, factor), params)
