"""Boxes."""

from __future__ import annotations

from modelglot.graphs.pytorch import literals
from modelglot.graphs.pytorch.call import Call, Rule


def _suppress(call: Call) -> str:
    limits = [call.number(n) if call.has(n) else "0" if n == 2 else "0.0" if n == 3 else "None" for n in (2, 3, 4)]
    centred = call.flag("center_point_box")
    return f"{call.use('suppress')}({call[0]}, {call[1]}, {', '.join(limits)}, {centred})"


def _align(call: Call) -> str:
    default = "half_pixel" if call.version >= 16 else "output_half_pixel"
    half = call.text("coordinate_transformation_mode", default) == "half_pixel"
    size = f"({call.attr('output_height', 1)}, {call.attr('output_width', 1)})"
    parts = [call[0], call[1], call[2], size, str(call.attr("sampling_ratio", 0)), call.float("spatial_scale", 1.0),
             str(half), literals.text(call.text("mode", "avg"))]  # fmt: skip
    return f"{call.use('roi_align')}({', '.join(parts)})"


def _max_pool(call: Call) -> str:
    size = tuple(call.ints_attr("pooled_shape") or [1, 1])
    return f"{call.use('roi_max_pool')}({call[0]}, {call[1]}, {size}, {call.float('spatial_scale', 1.0)})"


RULES: dict[str, Rule] = {"NonMaxSuppression": _suppress, "RoiAlign": _align, "MaxRoiPool": _max_pool}
