"""Operators on small constants, which exporters leave in the graph, computed while the source is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from modelglot.graphs.pytorch.call import Call
from modelglot.graphs.pytorch.module import INLINE, known
from modelglot.graphs.pytorch.values import Value


def folded(call: Call) -> Value | None:
    """The result where every input is a small constant of integers and the operator one of a few."""
    rule = _RULES.get(call.node.op_type)
    if rule is None or call.node.domain not in ("", "ai.onnx") or call.outputs != 1 or not call.count:
        return None
    arrays = [call.array(number) for number in range(call.count)]
    if any(array is None or array.dtype.kind not in "iub" for array in arrays):
        return None
    try:
        made = rule(call, arrays)
    except (ValueError, IndexError, OverflowError):
        return None  # what is wrong with it shows when it runs, as in other runtimes
    if made is None or made.size > INLINE:
        return None
    return Value("", dtype=made.dtype.name, shape=made.shape, array=made)


def _axes(call: Call, arrays: list[Any]) -> tuple[int, ...] | None:
    if call.version < 13:
        given = call.ints_attr("axes")
        return None if given is None else tuple(given)
    return tuple(int(axis) for axis in arrays[1].reshape(-1)) if len(arrays) > 1 else None


def _squeeze(call: Call, arrays: list[Any]) -> Any:
    import numpy as np

    return np.squeeze(arrays[0], _axes(call, arrays))


def _unsqueeze(call: Call, arrays: list[Any]) -> Any:
    import numpy as np

    axes = _axes(call, arrays)
    return None if axes is None else np.expand_dims(arrays[0], axes)


def _concat(call: Call, arrays: list[Any]) -> Any:
    import numpy as np

    same = all(array.ndim == 1 and array.dtype == arrays[0].dtype for array in arrays)
    return np.concatenate(arrays) if same else None


def _gather(call: Call, arrays: list[Any]) -> Any:
    import numpy as np

    return np.asarray(arrays[0][arrays[1]]) if arrays[0].ndim == 1 else None


def _cast(call: Call, arrays: list[Any]) -> Any:
    kind = call.to("to")
    return arrays[0].astype(kind) if kind in ("int64", "int32") else None


def _fill(call: Call, arrays: list[Any]) -> Any:
    import numpy as np

    value = known(call.stored("value")) if call.stored("value") is not None else np.zeros(1, np.float32)
    small = all(0 <= size <= INLINE for size in arrays[0].tolist()) and arrays[0].size <= 2
    return np.full(arrays[0].tolist(), value.reshape(-1)[0], value.dtype) if small and value.dtype.kind == "i" else None


def _reshape(call: Call, arrays: list[Any]) -> Any:
    shape = arrays[1].tolist() if call.version >= 5 else None
    return arrays[0].reshape(shape) if shape is not None and 0 not in shape else None


def _transpose(call: Call, arrays: list[Any]) -> Any:
    return arrays[0].transpose(call.ints_attr("perm"))


def _slice(call: Call, arrays: list[Any]) -> Any:
    if call.version < 10 or len(arrays) < 3:
        return None
    starts, ends = arrays[1].tolist(), arrays[2].tolist()
    axes, steps = (arrays[n].tolist() if len(arrays) > n else None for n in (3, 4))
    made = arrays[0]
    for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
        axis = axes[number] if axes else number
        step = steps[number] if steps else 1
        if step < 0:
            end = None if end < -made.shape[axis] else end
        made = made[(slice(None),) * (axis % made.ndim) + (slice(start, end, step),)]
    return made


def _arithmetic(function: Callable[[Any, Any], Any]) -> Callable[[Call, list[Any]], Any]:
    return lambda call, arrays: function(*arrays) if len(arrays) == 2 and arrays[0].dtype == arrays[1].dtype else None


_RULES: dict[str, Callable[[Call, list[Any]], Any]] = {
    "Squeeze": _squeeze, "Unsqueeze": _unsqueeze, "Concat": _concat, "Gather": _gather, "Cast": _cast,
    "ConstantOfShape": _fill, "Reshape": _reshape, "Transpose": _transpose, "Slice": _slice,
    "Neg": lambda call, arrays: -arrays[0], "Mul": _arithmetic(lambda a, b: a * b),
    "Add": _arithmetic(lambda a, b: a + b), "Sub": _arithmetic(lambda a, b: a - b),
}  # fmt: skip
