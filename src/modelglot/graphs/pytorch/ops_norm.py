"""Normalization, dropout and losses."""

from __future__ import annotations

from modelglot.graphs.pytorch import literals
from modelglot.graphs.pytorch.call import Call, Rule
from modelglot.graphs.pytorch.values import Tied, Value


def _batch(call: Call) -> str | Tied:
    x, scale, offset, mean, variance = call.all()[:5]
    eps = call.float("epsilon", 1e-5)
    if not call.flag("spatial", 1):
        raise call.unsupported("statistics for every place (`spatial` is 0) are not those of torch")
    training = call.flag("training_mode") if call.version >= 14 else any(call.wants(n) for n in range(1, 5))
    if training:
        momentum = call.float("momentum", 0.9)
        made = f"{call.use('batch_norm_training')}({x}, {scale}, {offset}, {mean}, {variance}, {eps}, {momentum})"
        return Tied(made, 3)
    return f"F.batch_norm({x}, {mean}, {variance}, {scale}, {offset}, eps={eps})"


def _instance(call: Call) -> str:
    return f"F.instance_norm({call[0]}, weight={call[1]}, bias={call[2]}, eps={call.float('epsilon', 1e-5)})"


def normalized_shape(call: Call, axis: int) -> str:
    """The shape of the last axes: of the scale, where that has them all."""
    shape, rank = call.shape(1), call.rank()
    if shape and None not in shape and rank is not None and len(shape) == rank - axis % rank and axis < 0:
        return literals.items([str(size) for size in shape])
    return f"{call[0]}.shape[{axis}:]"


def _layer(call: Call) -> str | Tied:
    axis, eps = int(call.attr("axis", -1)), call.float("epsilon", 1e-5)
    whole = (
        call.shape(1) is not None and call.rank() is not None and len(call.shape(1) or ()) == -axis % (call.rank() or 1)
    )
    if call.wants(1) or call.wants(2) or not (whole or axis == -1):
        made = f"{call.use('layer_norm')}({call[0]}, {call[1]}, {call.tensor_or(2)}, {axis}, {eps})"
        return Tied(made, 3)
    bias = f", {call[2]}" if call.has(2) else ""
    return f"F.layer_norm({call[0]}, {normalized_shape(call, axis)}, {call[1]}{bias}, eps={eps})"


def _root_mean_square(call: Call) -> str:
    axis, eps = int(call.attr("axis", -1)), call.float("epsilon", 1e-5)
    return f"{call.use('rms_norm')}({call[0]}, {call[1]}, {axis}, {eps})"


def _group(call: Call) -> str:
    groups, eps = int(call.attr("num_groups", 1)), call.float("epsilon", 1e-5)
    if call.version < 21:  # scale and bias are those of groups
        x = f"F.group_norm({call[0]}, {groups}, eps={eps})"
        return f"{call.use('scale_groups')}({x}, {call[1]}, {call[2]})"
    return f"F.group_norm({call[0]}, {groups}, {call[1]}, {call[2]}, eps={eps})"


def _local_response(call: Call) -> str:
    size = int(call.attr("size", 1))
    values = [call.float(name, default) for name, default in (("alpha", 1e-4), ("beta", 0.75), ("bias", 1.0))]
    if size % 2:
        return f"F.local_response_norm({call[0]}, {size}, alpha={values[0]}, beta={values[1]}, k={values[2]})"
    return f"{call.use('local_response_norm')}({call[0]}, {size}, {', '.join(values)})"


def _lp(call: Call) -> str:
    return f"{call.use('lp_normalize')}({call[0]}, {call.attr('p', 2)}, {call.attr('axis', -1)})"


def _mean_variance(call: Call) -> str:
    axes = literals.items([str(axis) for axis in call.ints_attr("axes", [0, 2, 3]) or []])
    return f"{call.use('mean_variance_normalize')}({call[0]}, {axes})"


def _dropout(call: Call) -> list[str | Value | None] | Tied:
    """Nothing is dropped, unless the graph says itself that it is being trained."""
    if call.has(2) and (call.array(2) is None or bool(call.array(2).all())):
        ratio = call.number(1) if call.has(1) else "0.5"
        made = f"{call.use('dropout')}({call[0]}, {ratio}, bool({call[2]}))"
        return Tied(made, 2)
    return [call.value(0).copy(), f"torch.ones_like({call[0]}, dtype=torch.bool)" if call.wants(1) else None]


def _loss_options(call: Call) -> str:
    weight = f", {call[2]}" if call.has(2) else ""
    ignore = call.attr("ignore_index")
    parts = [f"reduction={literals.text(call.text('reduction', 'mean'))}"]
    parts += [f"ignore_index={ignore}"] if ignore is not None else []
    return f"{weight}, {', '.join(parts)}"


def _likelihood(call: Call) -> str:
    return f"F.nll_loss({call[0]}, {call[1]}.long(){_loss_options(call)})"


def _cross_entropy(call: Call) -> list[str | Value | None]:
    log = f"F.log_softmax({call[0]}, dim=1)" if call.wants(1) else None
    return [f"F.cross_entropy({call[0]}, {call[1]}.long(){_loss_options(call)})", log]


RULES: dict[str, Rule] = {
    "BatchNormalization": _batch, "InstanceNormalization": _instance, "LayerNormalization": _layer,
    "RMSNormalization": _root_mean_square, "SimplifiedLayerNormalization": _root_mean_square,
    "GroupNormalization": _group, "LRN": _local_response,
    "LpNormalization": _lp, "MeanVarianceNormalization": _mean_variance, "Dropout": _dropout,
    "NegativeLogLikelihoodLoss": _likelihood, "SoftmaxCrossEntropyLoss": _cross_entropy,
}  # fmt: skip
