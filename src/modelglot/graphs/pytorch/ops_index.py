"""Elements picked and put by index."""

from __future__ import annotations

from modelglot.graphs.pytorch import literals
from modelglot.graphs.pytorch.call import Call, Rule
from modelglot.graphs.pytorch.ops_number import where_numbers
from modelglot.graphs.pytorch.values import Value

_REDUCTIONS = {"none": None, "add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


def _gather_elements(call: Call) -> str:
    return f"{call.use('gather')}({call[0]}, {call[1]}, {call.attr('axis', 0)})"


def _gather_nd(call: Call) -> str:
    return f"{call.use('gather_nd')}({call[0]}, {call[1]}, {call.attr('batch_dims', 0)})"


def _scatter(function: str) -> Rule:
    def rule(call: Call) -> str:
        how = _REDUCTIONS.get(call.text("reduction", "none"), "")
        if how == "":
            raise call.unsupported("its `reduction` is not known")
        axis = f", {call.attr('axis', 0)}" if function == "scatter" else ""
        more = "" if how is None else f", {literals.text(how)}"
        return f"{call.use(function)}({call[0]}, {call[1]}, {call[2]}{axis}{more})"

    return rule


def _compress(call: Call) -> str:
    return f"{call.use('compress')}({call[0]}, {call[1]}, {call.attr('axis')})"


def _where(call: Call) -> str | Value:
    found = where_numbers(call)
    if found is not None:
        return found
    x, y = call.scalar(1, 2), call.scalar(2, 1)
    if call.dtype(1) not in ("float32", "int64") or (x != call[1] and y != call[2]):
        x, y = call[1], call[2]
    return f"torch.where({call[0]}, {x}, {y})"


def _one_hot(call: Call) -> str:
    return f"{call.use('one_hot')}({call[0]}, {call.number(1)}, {call[2]}, {call.attr('axis', -1)})"


def _tensor_scatter(call: Call) -> str:
    circular = call.text("mode", "linear") == "circular"
    parts = (call[0], call[1], call.tensor_or(2), str(call.attr("axis", -2)), str(circular))
    return f"{call.use('write_cache')}({', '.join(parts)})"


RULES: dict[str, Rule] = {
    "GatherElements": _gather_elements, "GatherND": _gather_nd, "Scatter": _scatter("scatter"),
    "ScatterElements": _scatter("scatter"), "ScatterND": _scatter("scatter_nd"), "Compress": _compress,
    "Where": _where, "OneHot": _one_hot, "TensorScatter": _tensor_scatter,
}  # fmt: skip
