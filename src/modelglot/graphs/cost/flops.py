"""Operations of a node by its operator, from the shapes of its inputs and outputs.

A multiplication and an addition are two. Element-wise operators have one for each element of their output, reductions
and pools one for each element that they read, norms and softmax five an element. What moves elements has none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

Shapes = Sequence["tuple[int, ...] | None"]
Attributes = Mapping[str, Any]
Rule = Callable[[Shapes, Shapes, Attributes], int]


def _words(names: str) -> frozenset[str]:
    return frozenset(names.split())


MOVES = _words("""
Reshape Transpose Squeeze Unsqueeze Flatten Identity Concat Split Slice Gather GatherElements GatherND Expand Shape
Size Constant ConstantOfShape Range Tile Pad Cast CastLike ScatterElements ScatterND Scatter DepthToSpace SpaceToDepth
NonZero Where OneHot Resize Upsample ReverseSequence Dropout EyeLike Compress Trilu If Loop Scan SequenceConstruct
SequenceAt SequenceInsert SplitToSequence ConcatFromSequence Optional TopK Unique RandomNormal RandomNormalLike
RandomUniform RandomUniformLike BitCast
""")


def _known(shape: tuple[int, ...] | None) -> tuple[int, ...]:
    if shape is None:
        raise LookupError("a shape is not known")
    return shape


def _conv(weight: int, bias: int) -> Rule:
    def rule(ins: Shapes, outs: Shapes, _: Attributes) -> int:
        kernel, out = _known(ins[weight]), prod(_known(outs[0]))
        biased = len(ins) > bias and ins[bias] is not None
        return 2 * out * prod(kernel[1:]) + out * biased

    return rule


def _conv_transpose(ins: Shapes, outs: Shapes, _: Attributes) -> int:
    kernel = _known(ins[1])
    return 2 * prod(_known(ins[0])) * prod(kernel[1:]) + prod(_known(outs[0])) * (len(ins) > 2 and ins[2] is not None)


def _matmul(first: int = 0) -> Rule:
    return lambda ins, outs, _: 2 * prod(_known(outs[0])) * (_known(ins[first]) or (1,))[-1]


def _gemm(ins: Shapes, outs: Shapes, attributes: Attributes) -> int:
    inner = _known(ins[0])[0 if attributes.get("transA") else 1]
    out = prod(_known(outs[0]))
    return 2 * out * inner + out * (len(ins) > 2 and ins[2] is not None)


def _recurrent(gates: int) -> Rule:
    def rule(ins: Shapes, outs: Shapes, attributes: Attributes) -> int:
        steps, batch, width = _known(ins[0])
        directions, rows, _ = _known(ins[1])
        hidden = rows // gates
        each = 2 * gates * hidden * (width + hidden) + (4 + 3 * gates) * hidden
        return steps * batch * directions * each

    return rule


def _attention(ins: Shapes, outs: Shapes, attributes: Attributes) -> int:
    """Scores and their sum of values; the softmax has five an element."""
    query, out = _known(ins[0]), _known(outs[0])
    past = _known(ins[4])[2] if len(ins) > 4 and ins[4] is not None else 0
    if len(query) == 4:
        batch, heads, steps, size = query
        total, values = _known(ins[1])[2] + past, out[-1]
    else:
        heads = int(attributes["q_num_heads"])
        batch, steps, size = query[0], query[1], query[2] // heads
        total, values = _known(ins[1])[1] + past, out[2] // heads
    return batch * heads * steps * total * (2 * size + 2 * values + 5)


def _einsum(ins: Shapes, outs: Shapes, attributes: Attributes) -> int:
    sizes: dict[str, int] = {}
    left = str(attributes["equation"]).replace(" ", "").split("->")[0]
    for term, shape in zip(left.split(","), ins, strict=False):
        if "." in term:
            raise LookupError("an ellipsis")
        sizes |= dict(zip(term, _known(shape), strict=False))
    return prod(sizes.values()) * max(2, len(ins))


def _pool(ins: Shapes, outs: Shapes, attributes: Attributes) -> int:
    return prod(_known(outs[0])) * prod(attributes.get("kernel_shape", (1,)))


def each_input(times: int = 1) -> Rule:
    return lambda ins, outs, _: times * prod(_known(ins[0]))


def each_output(times: int = 1) -> Rule:
    return lambda ins, outs, _: times * prod(_known(outs[0]))


RULES: dict[str, Rule] = {
    "Conv": _conv(1, 2), "FusedConv": _conv(1, 2), "ConvInteger": _conv(1, 99), "QLinearConv": _conv(3, 8),
    "DeformConv": _conv(1, 3), "ConvTranspose": _conv_transpose,
    "MatMul": _matmul(), "MatMulInteger": _matmul(), "QLinearMatMul": _matmul(), "FusedMatMul": _matmul(),
    "MatMulNBits": _matmul(), "DynamicQuantizeMatMul": _matmul(), "MatMulIntegerToFloat": _matmul(), "Gemm": _gemm,
    "LSTM": _recurrent(4), "GRU": _recurrent(3), "RNN": _recurrent(1), "Attention": _attention, "Einsum": _einsum,
    "MaxPool": _pool, "AveragePool": _pool, "LpPool": _pool, "GlobalAveragePool": each_input(),
    "GlobalMaxPool": each_input(), "GlobalLpPool": each_input(2), "ArgMax": each_input(), "ArgMin": each_input(),
    "CumSum": each_input(), "BatchNormalization": each_output(2), "InstanceNormalization": each_input(5),
    "LayerNormalization": each_input(5), "GroupNormalization": each_input(5), "RMSNormalization": each_input(4),
    "SimplifiedLayerNormalization": each_input(4), "LpNormalization": each_input(3), "LRN": each_input(5),
    "Softmax": each_input(5), "LogSoftmax": each_input(5), "Hardmax": each_input(), "RotaryEmbedding": each_input(3),
    **{f"Reduce{kind}": each_input() for kind in ("Sum", "Mean", "Max", "Min", "Prod", "L1")},
    **{f"Reduce{kind}": each_input(2) for kind in ("L2", "SumSquare", "LogSum", "LogSumExp")},
}  # fmt: skip


def _depthwise(ins: Shapes, outs: Shapes, _: Attributes) -> int:
    kernel, out = _known(ins[1]), prod(_known(outs[0]))
    return 2 * out * prod(kernel[1:3]) + out * (len(ins) > 2 and ins[2] is not None)


def _dense(ins: Shapes, outs: Shapes, _: Attributes) -> int:
    out = prod(_known(outs[0]))
    return 2 * out * _known(ins[1])[-1] + out * (len(ins) > 2 and ins[2] is not None)


def _transposed(ins: Shapes, outs: Shapes, _: Attributes) -> int:
    """Shape of the output, kernel ``[out, height, width, in]``, input."""
    return 2 * prod(_known(ins[2])) * prod(_known(ins[1])[:3])


# TensorFlow Lite's own names
RULES |= {
    "CONV_2D": _conv(1, 2), "CONV_3D": lambda ins, outs, _: 2 * prod(_known(outs[0])) * prod(_known(ins[1])[:4]),
    "DEPTHWISE_CONV_2D": _depthwise, "FULLY_CONNECTED": _dense, "TRANSPOSE_CONV": _transposed,
    "BATCH_MATMUL": _matmul(), "AVERAGE_POOL_2D": _pool, "MAX_POOL_2D": _pool, "L2_POOL_2D": _pool,
    "MEAN": each_input(), "SUM": each_input(), "REDUCE_MAX": each_input(), "REDUCE_MIN": each_input(),
    "REDUCE_PROD": each_input(), "ARG_MAX": each_input(), "ARG_MIN": each_input(), "CUMSUM": each_input(),
    "SOFTMAX": each_input(5), "LOG_SOFTMAX": each_input(5), "L2_NORMALIZATION": each_input(3),
}  # fmt: skip
MOVES |= _words("""
RESHAPE TRANSPOSE SQUEEZE EXPAND_DIMS CONCATENATION SPLIT SPLIT_V SLICE STRIDED_SLICE GATHER GATHER_ND PACK UNPACK
SHAPE FILL RANGE TILE PAD PADV2 MIRROR_PAD CAST BROADCAST_TO SPACE_TO_DEPTH DEPTH_TO_SPACE SPACE_TO_BATCH_ND
BATCH_TO_SPACE_ND SELECT SELECT_V2 WHERE ONE_HOT REVERSE_V2 REVERSE_SEQUENCE SCATTER_ND TOPK_V2 RESIZE_BILINEAR
RESIZE_NEAREST_NEIGHBOR EMBEDDING_LOOKUP ZEROS_LIKE VAR_HANDLE READ_VARIABLE ASSIGN_VARIABLE CALL_ONCE
""")


UNCOUNTED = _words("""
WHILE IF BASIC_LSTM BASIC_RNN SVDF UNIDIRECTIONAL_SEQUENCE_LSTM UNIDIRECTIONAL_SEQUENCE_RNN BIDIRECTIONAL_SEQUENCE_LSTM
BIDIRECTIONAL_SEQUENCE_RNN CUSTOM DynamicQuantizeLSTM
""")


def flops(operator: str, ins: Shapes, outs: Shapes, attributes: Attributes, standard: bool = True) -> int:
    """Raises LookupError where a shape that decides is not known or does not fit the operator, and for an operator of
    another domain (not ``standard``) that is not in the tables."""
    if operator in MOVES:
        return 0
    if operator in UNCOUNTED or not (standard or operator in RULES):
        raise LookupError("no rule")
    try:
        return int(RULES.get(operator, each_output())(ins, outs, attributes))
    except (IndexError, KeyError, ValueError, TypeError, ZeroDivisionError) as error:
        raise LookupError(str(error)) from None
