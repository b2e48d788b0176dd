"""Images in another size, and grids to sample them at."""

from __future__ import annotations

from modelglot.graphs.pytorch import literals
from modelglot.graphs.pytorch.call import Call, Rule

_KERNELS = {"nearest": "nearest", "linear": "linear", "bilinear": "linear", "cubic": "cubic"}


def _resize(call: Call) -> str:
    """`F.interpolate` where it does the same, which needs the usual mode, coordinates and axes."""
    if call.version < 11:
        return _asymmetric(call, call.text("mode", "nearest"), 1)
    mode = _KERNELS.get(call.text("mode", "nearest"))
    if mode is None:
        raise call.unsupported("its `mode` is not known")
    where = call.text("coordinate_transformation_mode", "half_pixel")
    nearest = call.text("nearest_mode", "round_prefer_floor")
    by_size = call.has(3)
    direct = _interpolate(call, mode, where, nearest, by_size)
    if direct is not None:
        return direct
    scales = call.numbers(2) if call.has(2) and not by_size else "None"
    sizes = call.numbers(3) if by_size else "None"
    parts = [call[0], scales, sizes, literals.text(mode), literals.text(where)]
    axes = call.ints_attr("axes")
    usual = {
        "axes": (None, None if axes is None else str(axes)),
        "nearest": ("round_prefer_floor", nearest),
        "a": ("-0.75", call.float("cubic_coeff_a", -0.75)),
        "exclude_outside": (False, call.flag("exclude_outside")),
        "antialias": (False, call.flag("antialias")),
        "policy": ("stretch", call.text("keep_aspect_ratio_policy", "stretch")),
        "roi": ("None", call.numbers(1) if where == "tf_crop_and_resize" else "None"),
        "beyond": ("0.0", call.float("extrapolation_value", 0.0)),
    }
    for name, (default, value) in usual.items():
        if value != default:
            quoted = name in ("nearest", "policy")
            parts.append(f"{name}={literals.text(str(value)) if quoted else value}")
    return f"{call.use('resize')}({', '.join(parts)})"


def _interpolate(call: Call, mode: str, where: str, nearest: str, by_size: bool) -> str | None:
    rank = call.rank()
    items = call.items(3 if by_size else 2)
    special = any(call.flag(name) for name in ("exclude_outside", "antialias")) or call.attr("axes") is not None
    special = special or call.text("keep_aspect_ratio_policy", "stretch") != "stretch"
    if special or rank not in (3, 4, 5) or items is None or len(items) != rank:
        return None
    if not (call.dtype() or "").startswith("float"):
        return None
    if not by_size and any(float(item) != 1 for item in items[:2] if _is_number(item)):
        return None
    if by_size and any(item not in _sizes(call, axis) for axis, item in enumerate(items[:2])):
        return None
    name = {
        ("nearest", "asymmetric", "floor"): "nearest",
        ("linear", "half_pixel", nearest): ("linear", "bilinear", "trilinear")[rank - 3],
        ("linear", "pytorch_half_pixel", nearest): ("linear", "bilinear", "trilinear")[rank - 3],
        ("cubic", "half_pixel", nearest): "bicubic" if rank == 4 else None,
    }.get((mode, where, nearest))
    if name is None or (mode == "cubic" and call.float("cubic_coeff_a", -0.75) != "-0.75"):
        return None
    key = "size" if by_size else "scale_factor"
    return f"F.interpolate({call[0]}, {key}={literals.items(items[2:])}, mode={literals.text(name)})"


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdigit()


def _sizes(call: Call, axis: int) -> tuple[str, ...]:
    """How the size of an axis may be written."""
    size = (call.shape() or ())[axis]
    return (f"{call[0]}.shape[{axis}]", *((str(size),) if size is not None else ()))


def _asymmetric(call: Call, mode: str, scales: int) -> str:
    """Before opset 11: from the first pixel on, the nearest one before."""
    kernel = _KERNELS.get(mode)
    if kernel is None:
        raise call.unsupported("its `mode` is not known")
    if call.version < 9 and scales < 0:
        factors = str([float(literals.number(s, "float32")) for s in call.attr("scales", [])])
    else:
        factors = call.numbers(1)
    return f'{call.use("resize")}({call[0]}, {factors}, None, "{kernel}", "asymmetric", nearest="floor")'


def _upsample(call: Call) -> str:
    return _asymmetric(call, call.text("mode", "nearest"), -1 if call.version < 9 else 1)


def _grid_sample(call: Call) -> str:
    mode = _KERNELS.get(call.text("mode", "linear"))
    border = {"zeros": "zeros", "border": "border", "reflection": "reflection"}.get(call.text("padding_mode", "zeros"))
    if mode is None or border is None:
        raise call.unsupported("its `mode` or `padding_mode` is not known")
    corners = call.flag("align_corners")
    if mode == "cubic" and (call.rank() or 4) == 4:
        name = "bicubic"
    else:
        name = {"linear": "bilinear", "nearest": "nearest"}.get(mode, "")
    if not name or call.rank() not in (None, 4, 5):
        return f"{call.use('sample')}({call[0]}, {call[1]}, {literals.text(mode)}, {literals.text(border)}, {corners})"
    how = f'mode="{name}", padding_mode="{border}", align_corners={corners}'
    return f"F.grid_sample({call[0]}, {call[1]}, {how})"


def _affine_grid(call: Call) -> str:
    return f"F.affine_grid({call[0]}, {call.numbers(1)}, align_corners={call.flag('align_corners')})"


RULES: dict[str, Rule] = {
    "Resize": _resize, "Upsample": _upsample, "GridSample": _grid_sample, "AffineGrid": _affine_grid,
}  # fmt: skip
