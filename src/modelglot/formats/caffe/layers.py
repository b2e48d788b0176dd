"""Types of Caffe's layers, and what they say of their blobs, as `modelglot.core.layer.describe` keeps it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelglot.core.layer import GROUPS, describe

_V1 = """
0 None 35 AbsVal 1 Accuracy 30 ArgMax 2 BNLL 3 Concat 37 ContrastiveLoss 4 Convolution 5 Data 39 Deconvolution 6 Dropout
32 DummyData 7 EuclideanLoss 25 Eltwise 38 Exp 8 Flatten 9 HDF5Data 10 HDF5Output 28 HingeLoss 11 Im2col 12 ImageData
13 InfogainLoss 14 InnerProduct 15 LRN 29 MemoryData 16 MultinomialLogisticLoss 34 MVN 17 Pooling 26 Power 18 ReLU
19 Sigmoid 27 SigmoidCrossEntropyLoss 36 Silence 20 Softmax 21 SoftmaxWithLoss 22 Split 33 Slice 23 TanH 24 WindowData
31 Threshold
"""  # types of the older `layers` by number, as the names that the newer `layer` has for them
_words = _V1.split()
V1_TYPES = {int(number): name for number, name in zip(_words[::2], _words[1::2], strict=True)}
_GROUP, _TRANSPOSE = 5, 6


@dataclass(slots=True)
class Layer:
    """``parameters`` are the numbers of the layer's own parameters by field."""

    name: str = ""
    type: str = ""
    bottoms: list[str] = field(default_factory=list)
    tops: list[str] = field(default_factory=list)
    parameters: Mapping[int, int] = field(default_factory=dict)


_BATCH_NORM = ("mean", "variance", "factor")
_RECURRENT = {"LSTM": ("lstm", "ifoc"), "RNN": ("rnn", None)}
_ROLES: tuple[tuple[str, str | None], ...] = (("kernel", "oi"), ("bias", None), ("recurrent-kernel", "oi"))


def described(layer: Layer, index: int, shape: Sequence[int], normalized: set[str]) -> dict[str, Any]:
    """What is said of blob ``index``; ``normalized`` are results of BatchNorm, whose scale is a layer of its own."""
    kind = layer.type
    if kind in ("Convolution", "Deconvolution"):
        return _convolution(layer, index, shape)
    if kind == "InnerProduct" and index < 2:
        axes = "io" if layer.parameters.get(_TRANSPOSE) else "oi"
        lead = "1" * (len(shape) - 2)  # older files give every blob four axes
        return describe("dense", "kernel", lead + axes) if index == 0 else describe("dense", "bias")
    if kind == "BatchNorm" and index < 3:
        return describe("batch-norm", _BATCH_NORM[index])
    if kind == "Scale" and index < 2 and layer.bottoms[:1] and layer.bottoms[0] in normalized:
        return describe("batch-norm", ("scale", "offset")[index])
    if kind == "Embed" and index < 2:
        return describe("embedding", ("table", "bias")[index])
    if kind in _RECURRENT and index < 3:
        name, gates = _RECURRENT[kind]
        role, order = _ROLES[index]
        return describe(name, role, order, gates)
    return {}


def _convolution(layer: Layer, index: int, shape: Sequence[int]) -> dict[str, Any]:
    group = layer.parameters.get(_GROUP, 1)
    transposed = layer.type == "Deconvolution"
    kind = "conv-transpose" if transposed else "conv"
    if group > 1 and len(shape) == 4 and shape[1] == 1:
        kind = "conv-transpose" if transposed else "depthwise-conv"
    if index == 1:
        return describe(kind, "bias")
    spatial = {4: "hw", 5: "dhw"}.get(len(shape)) if index == 0 else None
    if spatial is None:
        return {}
    axes = "io" if transposed else "o1" if kind == "depthwise-conv" else "oi"
    return describe(kind, "kernel", axes + spatial) | ({GROUPS: group} if group > 1 else {})
