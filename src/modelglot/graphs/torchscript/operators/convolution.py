"""Convolutions of one to three axes, their transposes, and padding."""

from __future__ import annotations

from typing import Any

from modelglot.core.errors import UnsupportedError
from modelglot.graphs.torchscript import dtypes
from modelglot.graphs.torchscript.kit import Kit
from modelglot.graphs.torchscript.operators.parts import LAST
from modelglot.graphs.torchscript.operators.table import Table

TABLE = Table()


@TABLE("conv1d", "conv2d", "conv3d")
def conv(
    g: Kit, x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Any:
    return convolution(g, x, weight, bias, stride, padding, dilation, False, 0, groups)


@TABLE("_convolution_mode")
def convolution_mode(
    g: Kit, x: Any, weight: Any, bias: Any, stride: Any, padding: str, dilation: Any, groups: int
) -> Any:
    return convolution(g, x, weight, bias, stride, padding, dilation, False, 0, groups)


@TABLE("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def conv_transpose(
    g: Kit, x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    groups: int = 1, dilation: Any = 1,
) -> Any:  # fmt: skip
    return convolution(g, x, weight, bias, stride, padding, dilation, True, output_padding, groups)


@TABLE("_convolution", "convolution")
def convolution(
    g: Kit, x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, transposed: bool,
    output_padding: Any, groups: int, *flags: Any,
) -> Any:  # fmt: skip
    axes = g.rank(weight) - 2
    strides, dilations = g.ints_of(stride, axes, "stride"), g.ints_of(dilation, axes, "dilation")
    alone = g.rank(x) == axes + 1  # one sample without a batch
    x = g.unsqueeze(x, [0]) if alone else x
    inner = g.int_of(g.size(weight, 0 if transposed else 1), "channels")
    g.fits(x, 1, inner if transposed else inner * groups, "the convolution")
    pads = _pads(g, padding, weight, dilations)
    common: dict[str, Any] = {
        "kernel_shape": g.ints_of(g.sizes(weight)[2:], axes, "kernel"), "strides": strides, "dilations": dilations,
        "pads": pads, "group": groups,
    }  # fmt: skip
    if transposed:
        more = g.ints_of(output_padding, axes, "output padding")
        if any(m >= s for m, s in zip(more, strides, strict=True) if m):
            raise UnsupportedError("an output padding that is not smaller than the stride")
        made = g.op("ConvTranspose", x, weight, bias, output_padding=more, **common)
    else:
        made = g.op("Conv", x, weight, bias, **common)
    return g.squeeze(made, [0]) if alone else made


def _pads(g: Kit, padding: Any, weight: Any, dilations: list[int]) -> list[int]:
    """Begins, then ends, as ONNX has them; ``same`` puts the odd one at the end."""
    axes = len(dilations)
    if padding == "valid":
        return [0] * axes * 2
    if padding == "same":
        kernel = g.ints_of(g.sizes(weight)[2:], axes, "kernel")
        totals = [d * (k - 1) for d, k in zip(dilations, kernel, strict=True)]
        return [t // 2 for t in totals] + [t - t // 2 for t in totals]
    return g.ints_of(padding, axes, "padding") * 2


@TABLE("pad")
def pad(g: Kit, x: Any, pad: Any, mode: str = "constant", value: Any = None) -> Any:
    """``pad`` counts from the last axis, a begin and an end each."""
    modes = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    if mode not in modes:
        raise UnsupportedError(f"padding `{mode}`")
    if any(isinstance(p, int) and p < 0 for p in pad):
        x, pad = _cut(g, x, pad)
        if 0 in g.dims(x) and mode != "constant":
            raise UnsupportedError(f"padding `{mode}` of what negative padding left nothing of")
    if all(isinstance(p, int) and p == 0 for p in pad):
        return x
    count, rank = len(pad) // 2, g.rank(x)
    begins, ends = [0] * (rank - count) + list(pad[0::2])[::-1], [0] * (rank - count) + list(pad[1::2])[::-1]
    filling = g.at(value if value is not None else 0, g.dtype(x)) if mode == "constant" else None
    if g.dtype(x) == dtypes.BOOL:
        made = g.op("Pad", g.cast(x, dtypes.INT64), g.vector(begins + ends), g.at(int(bool(value)), dtypes.INT64))
        return g.cast(made, dtypes.BOOL)
    return g.op("Pad", x, g.vector(begins + ends), filling, mode=modes[mode])


def _cut(g: Kit, x: Any, pad: Any) -> tuple[Any, list[Any]]:
    """Negative padding takes away."""
    left = list(pad)
    for pair in range(len(pad) // 2):
        begin, end = pad[2 * pair], pad[2 * pair + 1]
        axis = g.rank(x) - 1 - pair
        if begin < 0 or end < 0:
            x = g.slice(x, axis, max(-begin, 0), end if end < 0 else LAST)
            left[2 * pair], left[2 * pair + 1] = max(begin, 0), max(end, 0)
    return x, left


TABLE["constant_pad_nd"] = lambda g, x, padding, value=0: pad(g, x, padding, "constant", value)
for _axes in (1, 2, 3):
    TABLE[f"reflection_pad{_axes}d"] = lambda g, x, padding: pad(g, x, padding, "reflect")
    TABLE[f"replication_pad{_axes}d"] = lambda g, x, padding: pad(g, x, padding, "replicate")
