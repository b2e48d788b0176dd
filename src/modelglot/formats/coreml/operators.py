"""What the operators of an ML program say of the weights they use, as `modelglot.core.layer.describe` keeps it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from modelglot.core.layer import describe


class Operation(NamedTuple):
    """``inputs`` are names of values by parameter."""

    type: str
    inputs: dict[str, str]
    outputs: list[str]


# what each parameter of an operator is: kind, role, axes (``*`` stands for the axes of the kernel), gates
_LSTM = {f"{name}{back}": entry for back in ("", "_back") for name, entry in {
    "weight_ih": ("lstm", "kernel", "oi", "ifoc"), "weight_hh": ("lstm", "recurrent-kernel", "oi", "ifoc"),
    "bias": ("lstm", "bias", None, "ifoc"), "peephole": ("lstm", "other", None, "ifo")}.items()}  # fmt: skip
_NORM = {"gamma": ("norm", "scale", None, None), "beta": ("norm", "offset", None, None)}
_PARAMETERS: dict[str, Mapping[str, tuple[str, str, str | None, str | None]]] = {
    "conv": {"weight": ("conv", "kernel", "oi*", None), "bias": ("conv", "bias", None, None)},
    "conv_quantized": {"weight": ("conv", "kernel", "oi*", None), "bias": ("conv", "bias", None, None)},
    "conv_transpose": {"weight": ("conv-transpose", "kernel", "io*", None),
                       "bias": ("conv-transpose", "bias", None, None)},
    "linear": {"weight": ("dense", "kernel", "oi", None), "bias": ("dense", "bias", None, None)},
    "batch_norm": {"gamma": ("batch-norm", "scale", None, None), "beta": ("batch-norm", "offset", None, None),
                   "mean": ("batch-norm", "mean", None, None), "variance": ("batch-norm", "variance", None, None)},
    "layer_norm": _NORM, "instance_norm": _NORM, "lstm": _LSTM,
    "gru": {"weight_ih": ("gru", "kernel", "oi", "rnz"), "weight_hh": ("gru", "recurrent-kernel", "oi", "rnz"),
            "bias": ("gru", "bias", None, "rnz"), "input_bias": ("gru", "bias", None, "rnz")},
    "rnn": {"weight_ih": ("rnn", "kernel", "oi", None), "weight_hh": ("rnn", "recurrent-kernel", "oi", None),
            "bias": ("rnn", "bias", None, None)},
}  # fmt: skip
# the stored form of a weight is the input of these, under one of these names
_UNPACK = {"constexpr_affine_dequantize": "quantized_data", "constexpr_lut_to_dense": "indices",
           "constexpr_blockwise_shift_scale": "data", "constexpr_cast": "source_val", "identity": "x",
           "cast": "x"}  # fmt: skip
_KERNEL = {1: "w", 2: "hw", 3: "dhw"}


def described(operations: Iterable[Operation], known: Mapping[str, str], said: dict[str, list[dict[str, Any]]]) -> None:
    """Add what is said to ``said``, by the name of the tensor; ``known`` gives it by value."""
    values = dict(known)
    for op in operations:
        source = _UNPACK.get(op.type)
        if source is not None and op.inputs.get(source) in values and op.outputs:
            values[op.outputs[0]] = values[op.inputs[source]]
            continue
        for parameter, entry in _PARAMETERS.get(op.type, {}).items():
            name = values.get(op.inputs.get(parameter, ""))
            if name is not None:
                said.setdefault(name, []).append(describe(*entry))


def with_kernel(entry: dict[str, Any], rank: int) -> dict[str, Any]:
    """Axes of a kernel by its rank, where the operator leaves them open; without them where there are none of that."""
    made = dict(entry)
    for key, value in entry.items():
        if isinstance(value, str) and value.endswith("*"):
            spatial = _KERNEL.get(rank - 2)
            if spatial is None:
                del made[key]
            else:
                made[key] = value[:-1] + spatial
    return made
