"""Convolutions."""

from __future__ import annotations

from modelglot.graphs.pytorch import literals
from modelglot.graphs.pytorch.call import Call, Rule
from modelglot.graphs.pytorch.values import Value


def spatial_axes(call: Call, weight: int = 1) -> int:
    """The number of axes that a kernel moves along."""
    kernel = call.ints_attr("kernel_shape")
    if kernel is not None:
        return len(kernel)
    rank = call.rank(weight) or call.rank(0)
    if rank is None or rank < 3:
        raise call.unsupported("the number of axes of its kernel is not known")
    return rank - 2


def one_or_all(values: list[int]) -> str:
    return str(values[0]) if len(set(values)) == 1 else literals.items([str(value) for value in values])


def padding(call: Call, axes: int) -> tuple[list[int] | None, str]:
    """(pads, ``auto_pad``): pads are None where they follow from sizes."""
    auto = call.text("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        return None, auto
    if auto == "VALID":
        return [0] * (2 * axes), auto
    return call.ints_attr("pads", [0] * (2 * axes)), auto


def options(stride: list[int], pads: str, dilation: list[int], group: int) -> str:
    """The options of a convolution that are not the usual ones."""
    parts = []
    if set(stride) != {1}:
        parts.append(f"stride={one_or_all(stride)}")
    if pads not in ("0", ""):
        parts.append(f"padding={pads}")
    if set(dilation) != {1}:
        parts.append(f"dilation={one_or_all(dilation)}")
    if group != 1:
        parts.append(f"groups={group}")
    return "".join(f", {part}" for part in parts)


def padded_input(call: Call, x: str, kernel: str | list[int], more: str = "") -> str:
    """The input with the pads of the node around it; ``kernel`` is code for its sizes, or those."""
    axes = len(kernel) if isinstance(kernel, list) else spatial_axes(call)
    stride, dilation = (call.ints_attr(name, [1] * axes) for name in ("strides", "dilations"))
    pads, auto = padding(call, axes)
    if pads is None:
        sizes = f"{x}.shape[2:], {kernel}, {stride}, {dilation}, {auto == 'SAME_UPPER'}"
        return f"F.pad({x}, {call.use('same_pads')}({sizes}){more})"
    pairs = [str(n) for axis in reversed(range(axes)) for n in (pads[axis], pads[axis + axes])]
    return f"F.pad({x}, {literals.items(pairs)}{more})"


def convolution(call: Call, x: str, weight: str, bias: str | None, axes: int) -> str:
    """`F.conv2d` and its like; uneven pads are put around the input before."""
    if axes > 3:
        raise call.unsupported(f"torch has no convolution along {axes} axes")
    stride, dilation = (call.ints_attr(name, [1] * axes) or [1] * axes for name in ("strides", "dilations"))
    pads, _ = padding(call, axes)
    inside = one_or_all(pads[:axes]) if pads is not None and pads[:axes] == pads[axes:] else None
    x = x if inside is not None else padded_input(call, x, f"{weight}.shape[2:]")
    bias = f", {bias}" if bias else ""
    return f"F.conv{axes}d({x}, {weight}{bias}{options(stride, inside or '', dilation, int(call.attr('group', 1)))})"


def _conv(call: Call) -> str:
    return convolution(call, call[0], call[1], call[2] if call.has(2) else None, spatial_axes(call))


def _conv_transpose(call: Call) -> str:
    axes = spatial_axes(call)
    if axes > 3:
        raise call.unsupported(f"torch has no convolution along {axes} axes")
    stride, dilation = (call.ints_attr(name, [1] * axes) or [1] * axes for name in ("strides", "dilations"))
    more = call.ints_attr("output_padding", [0] * axes) or [0] * axes
    group, shape = int(call.attr("group", 1)), call.ints_attr("output_shape")
    pads, auto = padding(call, axes)
    bias = f", {call[2]}" if call.has(2) else ""
    even = pads is not None and pads[:axes] == pads[axes:]
    fits = all(m < max(s, d) for m, s, d in zip(more, stride, dilation, strict=True))
    if pads is not None and even and fits and shape is None:
        parts = options(stride, one_or_all(pads[:axes]), dilation, group)
        parts = f", output_padding={one_or_all(more)}{parts}" if any(more) else parts
        return f"F.conv_transpose{axes}d({call[0]}, {call[1]}{bias}{parts})"
    arguments = (call[0], call[1], call.tensor_or(2), stride, dilation, group, more, pads, shape, auto != "SAME_UPPER")
    return f"{call.use('conv_transpose')}({', '.join(str(argument) for argument in arguments)})"


def _deform(call: Call) -> str:
    axes = 2
    stride, dilation = (call.ints_attr(name, [1] * axes) for name in ("strides", "dilations"))
    pads, group = call.ints_attr("pads", [0] * (2 * axes)), call.attr("offset_group", 1)
    arguments = (call[0], call[1], call[2], call.tensor_or(3), call.tensor_or(4), stride, pads, dilation,
                 call.attr("group", 1), group)  # fmt: skip
    return f"{call.use('deform_conv')}({', '.join(str(argument) for argument in arguments)})"


def _causal(call: Call) -> list[str | Value | None]:
    name = call.text("activation", "none")
    tied = (
        f"{call.use('causal_conv')}({call[0]}, {call[1]}, {call.tensor_or(2)}, {call.tensor_or(3)}, {name != 'none'})"
    )
    return [f"{tied}[0]", f"{tied}[1]" if call.wants(1) else None]


RULES: dict[str, Rule] = {
    "Conv": _conv, "ConvTranspose": _conv_transpose, "DeformConv": _deform, "CausalConvWithState": _causal,
}  # fmt: skip
