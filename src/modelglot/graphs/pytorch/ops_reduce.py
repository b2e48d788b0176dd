"""Reductions over axes, the place of the largest, and what is sorted."""

from __future__ import annotations

from modelglot.graphs.pytorch import literals
from modelglot.graphs.pytorch.call import Call, Rule
from modelglot.graphs.pytorch.ops_math import WIDE
from modelglot.graphs.pytorch.ops_number import axes_of
from modelglot.graphs.pytorch.values import Tied

_SUM_AXES, _AXES = 13, 18  # operator sets since which the axes are an input


def _reduce(function: str, *, before: str = "{0}", after: str = "{0}", until: int = _AXES, sums: bool = False) -> Rule:
    """``after(function(before(x), dim, keepdim))``; integers stay what they are, which `torch.sum` does not do."""

    def rule(call: Call) -> str:
        given = call.has(1) if call.version >= until else call.attr("axes") is not None
        axes = axes_of(call, until) if given else None
        x, kind = before.format(call[0]), call.dtype()
        if call.flag("noop_with_empty_axes") and (not given or axes == []):
            return after.format(x) if function != "torch.linalg.vector_norm" else f"torch.abs({x})"
        if axes:
            dim = str(axes[0]) if len(axes) == 1 else literals.items([str(axis) for axis in axes])
        elif given and axes is None:
            dim = f"tuple({call.numbers(1)})" + " or None" * (not call.flag("noop_with_empty_axes"))
        else:
            dim = "None"
        keep = ", keepdim=True" if call.flag("keepdims", 1) else ""
        floating = kind is not None and "float" in kind
        if function.startswith("torch.") and axes and (floating or (sums and kind is not None and kind not in WIDE)):
            whole = f", dtype=torch.{kind}" if sums and not floating else ""
            return after.format(f"{function}({x}, dim={dim}{keep}{whole})")
        helper = f"reduce_{function.rpartition('.')[2]}"
        return after.format(f"{call.use(helper)}({x}, {dim}{keep})")

    return rule


def _where_most(function: str) -> Rule:
    def rule(call: Call) -> str:
        axis, keep = int(call.attr("axis", 0)), call.flag("keepdims", 1)
        if call.flag("select_last_index"):
            return f"{call.use('last_' + function)}({call[0]}, {axis}, {keep})"
        return f"torch.{function}({call[0]}, dim={axis}{', keepdim=True' * keep})"

    return rule


def _top(call: Call) -> Tied:
    """Equal elements in the order of their places, which `torch.topk` does not promise."""
    axis = int(call.attr("axis", -1))
    k = str(int(call.attr("k", 1))) if call.version < 10 else call.number(1)
    largest, sort = call.flag("largest", 1), call.flag("sorted", 1)
    del sort  # sorted results are right for both
    return Tied(f"{call.use('top')}({call[0]}, {k}, {axis}, {largest})")


def _unique(call: Call) -> Tied:
    axis = call.attr("axis")
    made = f"{call.use('unique')}({call[0]}, {axis}, {call.flag('sorted', 1)})"
    return Tied(made, 4)


RULES: dict[str, Rule] = {
    "ReduceSum": _reduce("torch.sum", until=_SUM_AXES, sums=True),
    "ReduceMean": _reduce("torch.mean"), "ReduceMax": _reduce("torch.amax"), "ReduceMin": _reduce("torch.amin"),
    "ReduceProd": _reduce("prod"), "ReduceL1": _reduce("torch.sum", before="torch.abs({0})", sums=True),
    "ReduceL2": _reduce("torch.linalg.vector_norm"),
    "ReduceSumSquare": _reduce("torch.sum", before="torch.square({0})", sums=True),
    "ReduceLogSum": _reduce("torch.sum", after="torch.log({0})"), "ReduceLogSumExp": _reduce("torch.logsumexp"),
    "ArgMax": _where_most("argmax"), "ArgMin": _where_most("argmin"), "TopK": _top, "Unique": _unique,
    "NonZero": "torch.nonzero({0}).T",
}  # fmt: skip
