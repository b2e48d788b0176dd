"""Interpolation, sampling on a grid, short-time Fourier transforms."""

from __future__ import annotations

from typing import Any

import numpy as np

from modelglot.core.errors import UnsupportedError
from modelglot.graphs.torchscript import dtypes
from modelglot.graphs.torchscript.kit import Kit
from modelglot.graphs.torchscript.operators.convolution import pad
from modelglot.graphs.torchscript.operators.table import Table
from modelglot.graphs.torchscript.values import Scalar

TABLE = Table()


def _resized(g: Kit, x: Any, mode: str, size: Any, scales: Any, aligned: Any = False) -> Any:
    """By sizes, or by scales as they are given, which PyTorch uses for the positions as well."""
    spatial = g.rank(x) - 2
    where = "asymmetric" if mode == "nearest" else "align_corners" if aligned else "half_pixel"
    if mode == "linear" and not aligned:
        where = "pytorch_half_pixel"
    more: dict[str, Any] = {"mode": mode, "coordinate_transformation_mode": where, "nearest_mode": "floor"}
    if mode == "cubic":
        more["cubic_coeff_a"] = -0.75
    if size is None:
        factors = [scales] * spatial if isinstance(scales, (int, float)) else list(scales)
        if any(isinstance(f, Scalar) for f in factors):
            raise UnsupportedError("a scale that is only known when the graph runs")
        return g.op("Resize", x, None, g.constant(np.array([1, 1, *factors], np.float32)), **more)
    sizes = [size] * spatial if isinstance(size, (int, Scalar)) else list(size)
    return g.op("Resize", x, None, None, g.vector([*g.sizes(x)[:2], *sizes]), dims=_dims(g, x, sizes), **more)


def _dims(g: Kit, x: Any, sizes: list[Any]) -> list[Any]:
    return [*g.dims(x)[:2], *(s.axis if isinstance(s, Scalar) else s for s in sizes)]


def _scales(rest: Any) -> Any:
    found = [r for r in rest if r is not None]
    if not found:
        return None
    return found[0] if len(found) == 1 and isinstance(found[0], (list, tuple)) else found


for _axes in (1, 2, 3):
    TABLE[f"upsample_nearest{_axes}d"] = lambda g, x, size, *scales: _resized(g, x, "nearest", size, _scales(scales))


def _exact(g: Kit, x: Any, size: Any, *scales: Any) -> Any:
    """The nearest by the middle of each element."""
    spatial = g.rank(x) - 2
    found = _scales(scales)
    more: dict[str, Any] = {
        "mode": "nearest",
        "coordinate_transformation_mode": "half_pixel",
        "nearest_mode": "round_prefer_ceil",
    }
    if size is None:
        return g.op("Resize", x, None, g.constant(np.array([1, 1, *found], np.float32)), **more)
    sizes = [size] * spatial if isinstance(size, (int, Scalar)) else list(size)
    return g.op("Resize", x, None, None, g.vector([*g.sizes(x)[:2], *sizes]), dims=_dims(g, x, sizes), **more)


for _axes in (1, 2, 3):
    TABLE[f"_upsample_nearest_exact{_axes}d"] = _exact


def _smooth(mode: str) -> Any:
    return lambda g, x, size, aligned, *scales: _resized(g, x, mode, size, _scales(scales), aligned)


for _name in ("upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d"):
    TABLE[_name] = _smooth("linear")
TABLE["upsample_bicubic2d"] = _smooth("cubic")


@TABLE("grid_sampler", "grid_sampler_2d", "grid_sampler_3d")
def grid_sampler(g: Kit, x: Any, grid: Any, mode: int, padding: int, aligned: bool) -> Any:
    modes, pads = ("linear", "nearest", "cubic"), ("zeros", "border", "reflection")
    return g.op("GridSample", x, grid, mode=modes[mode], padding_mode=pads[padding], align_corners=int(aligned))


@TABLE("affine_grid_generator")
def affine_grid(g: Kit, theta: Any, size: Any, aligned: bool) -> Any:
    return g.op("AffineGrid", theta, g.vector(size), align_corners=int(aligned))


@TABLE("stft")
def stft(
    g: Kit, x: Any, n_fft: int, hop: Any = None, win: Any = None, window: Any = None, center: Any = False,
    *rest: Any, **named: Any,
) -> Any:  # fmt: skip
    raise UnsupportedError(
        "`stft`, whose result is complex", hint="a module that gives magnitudes by convolution converts"
    )


@TABLE("im2col")
def im2col(g: Kit, x: Any, kernel: Any, dilation: Any, padding: Any, stride: Any) -> Any:
    """Windows as columns: by two gathers, of rows and of columns."""
    (kh, kw), (dh, dw), (ph, pw), (sh, sw) = kernel, dilation, padding, stride
    x = pad(g, x, [pw, pw, ph, ph])
    n, c, h, w = g.sizes(x)
    high, wide = g.int_of(h, "a height"), g.int_of(w, "a width")
    g.made(kh * high + kw * wide, "windows")
    rows = _windows(high, kh, dh, sh)
    columns = _windows(wide, kw, dw, sw)
    made = g.op("Gather", x, g.constant(rows, dtypes.INT64), axis=2)  # n c kh lh w
    made = g.op("Gather", made, g.constant(columns, dtypes.INT64), axis=4)  # n c kh lh kw lw
    made = g.transpose(made, [0, 1, 2, 4, 3, 5])
    return g.reshape(made, [n, g.int_of(c, "channels") * kh * kw, len(rows[0]) * len(columns[0])])


def _windows(size: int, kernel: int, dilation: int, stride: int) -> list[list[int]]:
    starts = range(0, size - dilation * (kernel - 1), stride)
    return [[start + k * dilation for start in starts] for k in range(kernel)]
