"""What Keras' layers call their weights, in the order in which they keep them, and what each is.

Source: the layers of Keras 2 and 3 as documented; shapes by `keras.io/api/layers`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelglot.core.layer import describe

Config = Mapping[str, Any]

_CONVS = {"Conv1D": "w", "Conv2D": "hw", "Conv3D": "dhw", "Convolution1D": "w", "Convolution2D": "hw"}
_GATES = {"LSTM": ("lstm", "ifco"), "GRU": ("gru", "zrn"), "SimpleRNN": ("rnn", None)}
_NORMS = {"BatchNormalization": "batch-norm", "LayerNormalization": "norm", "GroupNormalization": "norm",
          "RMSNormalization": "norm", "UnitNormalization": "norm"}  # fmt: skip
_ROLES = {"gamma": "scale", "beta": "offset", "scale": "scale", "moving_mean": "mean", "moving_variance": "variance"}


def plain_name(class_name: str) -> str:
    """The class without its package (``keras.layers>Dense``) and without what marks variants of one layer."""
    name = class_name.rsplit(">", 1)[-1].rsplit(".", 1)[-1]
    if name.startswith("CuDNN"):
        return name[5:]
    return name.removesuffix("V1").removesuffix("V2").removesuffix("Cell")


def names(class_name: str, config: Config) -> list[str]:
    """The weights of a layer in Keras 3's order; empty for layers that are not known here."""
    kind = plain_name(class_name)
    bias = ["bias"] if config.get("use_bias", True) else []
    if kind in ("Dense", "EinsumDense", *_CONVS) or kind.endswith("Transpose"):
        has_bias = bias if kind != "EinsumDense" or config.get("bias_axes") else []
        return ["kernel", *has_bias]
    if kind.startswith("DepthwiseConv"):
        return ["depthwise_kernel" if kind != "DepthwiseConv" else "kernel", *bias]
    if kind.startswith("SeparableConv"):
        return ["depthwise_kernel", "pointwise_kernel", *bias]
    if kind in _GATES:
        return ["kernel", "recurrent_kernel", *bias]
    if kind == "Embedding":
        return ["embeddings"]
    if kind == "RMSNormalization":
        return ["scale"]
    if kind in _NORMS:
        flags = [n for n, flag in (("gamma", "scale"), ("beta", "center")) if config.get(flag, True)]
        return [*flags, "moving_mean", "moving_variance"] if kind == "BatchNormalization" else flags
    return []


def meaning(class_name: str, config: Config, name: str) -> dict[str, Any]:
    """What `describe` says of the weight ``name`` of a layer; empty where this does not know."""
    kind = plain_name(class_name)
    if kind in _NORMS and name in _ROLES:
        return describe(_NORMS[kind], _ROLES[name])
    if kind == "Embedding" and name == "embeddings":
        return describe("embedding", "table")
    if kind in _GATES:
        return _recurrent(kind, name)
    if kind == "Dense":
        return describe("dense", name, "io" if name == "kernel" else None) if name in ("kernel", "bias") else {}
    if kind.startswith(("DepthwiseConv", "SeparableConv")):
        return _depthwise(kind, name)
    if kind in _CONVS or kind.removesuffix("Transpose") in _CONVS:
        turned = kind.endswith("Transpose")
        axes = _CONVS[kind.removesuffix("Transpose")] + ("oi" if turned else "io")
        if name in ("kernel", "bias"):
            return describe("conv-transpose" if turned else "conv", name, axes if name == "kernel" else None)
    if kind == "EinsumDense" and name in ("kernel", "bias"):
        return describe("attention", name)
    return {}


def _recurrent(kind: str, name: str) -> dict[str, Any]:
    word, gates = _GATES[kind]
    roles = {"kernel": "kernel", "recurrent_kernel": "recurrent-kernel", "bias": "bias"}
    if name not in roles:
        return {}
    return describe(word, roles[name], None if name == "bias" else "io", gates)


def _depthwise(kind: str, name: str) -> dict[str, Any]:
    place = {"1": "w", "2": "hw"}.get(kind[-2:-1])
    if place is None:
        return {}
    if name in ("depthwise_kernel", "kernel"):
        return describe("depthwise-conv", "kernel", place + "im")
    if name == "pointwise_kernel":
        return describe("conv", "kernel", place + "io")
    return describe("conv" if kind.startswith("Separable") else "depthwise-conv", "bias") if name == "bias" else {}
