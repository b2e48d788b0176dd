"""Pooling."""

from __future__ import annotations

from modelglot.graphs.pytorch import literals
from modelglot.graphs.pytorch.call import Call, Rule
from modelglot.graphs.pytorch.ops_conv import one_or_all, padded_input, padding
from modelglot.graphs.pytorch.values import Tied


def _shape(call: Call) -> tuple[list[int], list[int], list[int], list[int] | None, str]:
    """Kernel, stride, dilation, pads (None where they follow from sizes), `auto_pad`."""
    kernel = call.ints_attr("kernel_shape") or []
    axes = len(kernel)
    stride, dilation = (call.ints_attr(name, [1] * axes) or [1] * axes for name in ("strides", "dilations"))
    pads, auto = padding(call, axes)
    return kernel, stride, dilation, pads, auto


def _plain(kernel: list[int], pads: list[int] | None) -> bool:
    """True where torch's own pads do: even ones of at most half a kernel."""
    axes = len(kernel)
    return (
        pads is not None
        and 1 <= axes <= 3
        and pads[:axes] == pads[axes:]
        and all(2 * pad <= size for pad, size in zip(pads, kernel, strict=False))
    )


def _arguments(call: Call, first: str) -> str:
    """The arguments of the support functions."""
    kernel, stride, dilation, pads, auto = _shape(call)
    ceil = call.flag("ceil_mode")
    if pads is None:
        same = f"{call.use('same_pads')}({first}.shape[2:], {kernel}, {stride}, {dilation}, {auto == 'SAME_UPPER'})"
        text = f"{call.use('in_order')}({same})"
    else:
        text = str(pads)
    return f"{first}, {kernel}, {stride}, {dilation}, {text}, {ceil}"


def _usual(kernel: list[int], stride: list[int], pads: list[int], *more: str) -> str:
    parts = [one_or_all(kernel), f"stride={one_or_all(stride)}"]
    parts += [f"padding={one_or_all(pads[: len(kernel)])}"] if any(pads) else []
    return ", ".join([*parts, *(text for text in more if text)])


def _max(call: Call) -> str | Tied:
    kernel, stride, dilation, pads, _ = _shape(call)
    if call.wants(1):
        return Tied(f"{call.use('max_pool_places')}({_arguments(call, call[0])}, {call.flag('storage_order')})")
    floating = (call.dtype() or "").startswith(("float32", "float64", "float16"))
    turned = f"dilation={one_or_all(dilation)}" if set(dilation) != {1} else ""
    if floating and pads is not None and _plain(kernel, pads):
        ceil = "ceil_mode=True" if call.flag("ceil_mode") else ""
        return f"F.max_pool{len(kernel)}d({call[0]}, {_usual(kernel, stride, pads, turned, ceil)})"
    if floating and not call.flag("ceil_mode") and 1 <= len(kernel) <= 3:
        padded = padded_input(call, call[0], kernel, ", value=-torch.inf")
        return f"F.max_pool{len(kernel)}d({padded}, {_usual(kernel, stride, [0] * len(kernel), turned)})"
    return f"{call.use('max_pool')}({_arguments(call, call[0])})"


def _average(call: Call) -> str:
    kernel, stride, dilation, pads, _ = _shape(call)
    counts = call.flag("count_include_pad")
    if pads is not None and _plain(kernel, pads) and set(dilation) == {1} and not call.flag("ceil_mode"):
        inside = "count_include_pad=False" if any(pads) and not counts else ""
        return f"F.avg_pool{len(kernel)}d({call[0]}, {_usual(kernel, stride, pads, inside)})"
    return f"{call.use('average_pool')}({_arguments(call, call[0])}, {counts})"


def _power(call: Call) -> str:
    return f"{call.use('power_pool')}({_arguments(call, call[0])}, {call.attr('p', 2)})"


def _all_of(function: str) -> Rule:
    """Over every axis but the first two."""

    def rule(call: Call) -> str:
        rank = call.rank()
        axes = literals.items([str(axis) for axis in range(2, rank)]) if rank else f"tuple(range(2, {call[0]}.ndim))"
        return f"{function}({call[0]}, dim={axes}, keepdim=True)"

    return rule


def _global_power(call: Call) -> str:
    return f"{call.use('global_power')}({call[0]}, {call.attr('p', 2)})"


def _unpool(call: Call) -> str:
    kernel, stride, _, pads, _ = _shape(call)
    shape = call.numbers(2) if call.has(2) else "None"
    return f"{call.use('max_unpool')}({call[0]}, {call[1]}, {kernel}, {stride}, {pads}, {shape})"


RULES: dict[str, Rule] = {
    "MaxPool": _max, "AveragePool": _average, "LpPool": _power, "GlobalAveragePool": _all_of("torch.mean"),
    "GlobalMaxPool": _all_of("torch.amax"), "GlobalLpPool": _global_power, "MaxUnpool": _unpool,
}  # fmt: skip
