"""Axes, sizes and the order of elements."""

from __future__ import annotations

from modelglot.graphs.pytorch import literals
from modelglot.graphs.pytorch.call import Call, Rule
from modelglot.graphs.pytorch.values import NUMBER, NUMBERS, Tied, Value, number, numbers, sequence

_FAR = 2**31 - 1  # an end from here on is that of the axis


def _reshape(call: Call) -> str | Value:
    """0 keeps the size of that axis, unless ``allowzero``."""
    items = [str(n) for n in call.ints_attr("shape") or []] if call.version < 5 else call.items(1)
    value, zero = call.value(0), call.flag("allowzero")
    if value.kind == NUMBER and items in (["1"], ["-1"]) and value.dtype == "int64":
        return numbers([value.code])
    if value.kind == NUMBERS and items == ["-1"]:
        return value.copy()
    if value.kind == NUMBERS and items == [] and value.items and len(value.items) == 1:
        return number(value.items[0])
    x = call[0]
    if items is None:
        return f"{call.use('reshape')}({x}, {call.numbers(1)}{', keep_zero=True' * zero})"
    if not zero:
        items = [f"{x}.shape[{axis}]" if item == "0" else item for axis, item in enumerate(items)]
    return f"{x}.reshape({', '.join(items) or '()'})"


def _transpose(call: Call) -> str:
    order, x = call.ints_attr("perm"), call[0]
    if order is None:
        return f"{x}.permute(*range({x}.ndim)[::-1])"
    swapped = [axis for axis, other in enumerate(order) if axis != other]
    if len(swapped) == 2:
        return f"{x}.transpose({swapped[0]}, {swapped[1]})"
    return f"{x}.permute({', '.join(str(axis) for axis in order) or '()'})"


def _flatten(call: Call) -> str:
    axis, x, rank = int(call.attr("axis", 1)), call[0], call.rank()
    if axis == 1 and rank is not None and rank > 1:
        return f"{x}.flatten(1)"
    return f"{x}.reshape(math.prod({x}.shape[:{axis}]), -1)" if axis else f"{x}.reshape(1, -1)"


def _expand(call: Call) -> str:
    return f"{call[0]}.expand(torch.broadcast_shapes({call[0]}.shape, {call.numbers(1)}))"


def _tile(call: Call) -> str:
    items = call.items(1)
    return f"{call[0]}.repeat({', '.join(items) if items else f'*{call.numbers(1)}'})"


def _split(call: Call) -> Tied:
    """Into sizes, or into as many equal parts as there are outputs, the last one smaller."""
    axis, sizes = int(call.attr("axis", 0)), None
    if call.version < 13:
        given = call.ints_attr("split")
        sizes = None if given is None else str(given)
    elif call.has(1):
        sizes = f"[{', '.join(call.items(1) or [])}]" if call.items(1) else call.numbers(1)
    count = int(call.attr("num_outputs", call.outputs))
    sizes = sizes or f"-({call[0]}.shape[{axis}] // -{count})"
    return Tied(f"torch.split({call[0]}, {sizes}, dim={axis})")


def _slice(call: Call) -> str | Value:
    parts = _slice_parts(call)
    if parts is not None:
        starts, ends, axes, steps = parts
        value = call.value(0)
        if value.kind == NUMBERS and axes in ([0], [-1]):
            found = _numbers_cut(value, starts[0], ends[0], steps[0])
            if found is not None:
                return found
        cut = _index(axes, starts, ends, steps)
        if cut is not None:
            return f"{call[0]}[{cut}]" if cut.strip(":., ") else value.copy()
    if call.version < 10:
        given = [call.attr("starts", []), call.attr("ends", []), call.attr("axes")]
        return f"{call.use('cut')}({call[0]}, {', '.join(str(part) for part in given)})"
    inputs = [call.numbers(number) if call.has(number) else "None" for number in (1, 2, 3, 4)]
    return f"{call.use('cut')}({call[0]}, {', '.join(inputs)})"


def _slice_parts(call: Call) -> tuple[list[str], list[str], list[int], list[int]] | None:
    """Starts and ends as code, axes and steps as numbers; None where one of them is not known."""
    if call.version < 10:
        starts, ends = ([str(n) for n in call.ints_attr(name) or []] for name in ("starts", "ends"))
        axes, steps = call.ints_attr("axes"), None
    else:
        if (call.has(3) and call.ints(3) is None) or (call.has(4) and call.ints(4) is None):
            return None
        found = call.items(1), call.items(2)
        if found[0] is None or found[1] is None:
            return None
        starts, ends, axes, steps = found[0], found[1], call.ints(3), call.ints(4)
    axes = list(range(len(starts))) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    return (starts, ends, axes, steps) if len({len(starts), len(ends), len(axes), len(steps)}) == 1 else None


def _index(axes: list[int], starts: list[str], ends: list[str], steps: list[int]) -> str | None:
    """``:, 1:3`` or ``..., 1:3``; None where Python's own slices do not do."""
    if min(steps, default=1) < 1 or len(set(axes)) != len(axes):
        return None
    cuts = {axes[n]: _cut(starts[n], ends[n], steps[n]) for n in range(len(axes))}
    if not cuts:
        return "..."
    if min(cuts) >= 0 and max(cuts) < 8:
        return ", ".join(cuts.get(axis, ":") for axis in range(max(cuts) + 1))
    if max(cuts) < 0 and min(cuts) >= -8:
        return "..., " + ", ".join(cuts.get(axis, ":") for axis in range(min(cuts), 0))
    return None


def _cut(start: str, end: str, step: int) -> str:
    start = "" if start == "0" else start
    end = "" if end.isdigit() and int(end) >= _FAR else end
    return f"{start}:{end}" + (f":{step}" if step != 1 else "")


def _numbers_cut(value: Value, start: str, end: str, step: int) -> Value | None:
    known = all(text.lstrip("-").isdigit() for text in (start, end)) and step > 0
    if value.items is not None and known:
        return numbers(value.items[int(start) : int(end) : step])
    return sequence(f"{value.code}[{_cut(start, end, step)}]") if known else None


def _pad(call: Call) -> str:
    mode, x = call.text("mode", "constant"), call[0]
    if call.version < 11:
        pads = [str(n) for n in call.ints_attr("pads" if call.version > 1 else "paddings") or []]
        value, axes = call.float("value", 0.0), None
    else:
        found = call.items(1)
        axes = call.numbers(3) if call.has(3) else None
        value = (call.number(2) if call.array(2) is not None or call.is_python(2) else call[2]) if call.has(2) else "0"
        if found is None or axes is not None:
            pads_code = call.numbers(1)
            return f"{call.use('pad')}({x}, {pads_code}, {literals.text(mode)}, {value}, {axes})"
        pads = found
    direct = _torch_pads(pads)
    zero = value in ("0", "0.0", "False")
    if mode == "constant" and (call.array(2) is not None or not call.has(2)) and call.dtype() != "bool":
        return f"F.pad({x}, {literals.items(direct)}{'' if zero else f', value={value}'})" if direct else x
    spatial = (call.rank() or 0) - 2
    floating = (call.dtype() or "").startswith("float")
    plain = all(text.isdigit() for text in pads) and floating and 1 <= spatial <= 3
    if mode in ("reflect", "edge") and plain and len(direct) <= 2 * spatial:
        direct += ["0"] * (2 * spatial - len(direct))
        how = literals.text("replicate" if mode == "edge" else mode)
        return f"F.pad({x}, {literals.items(direct)}, mode={how})"
    return f"{call.use('pad')}({x}, {literals.items(pads)}, {literals.text(mode)}, {value}, None)"


def _torch_pads(pads: list[str]) -> list[str]:
    """``F.pad`` wants pairs, the last axis first, and none for the axes in front that are not padded."""
    half = len(pads) // 2
    made = [text for axis in reversed(range(half)) for text in (pads[axis], pads[half + axis])]
    while made[-2:] == ["0", "0"]:
        made = made[:-2]
    return made


def _depth_to_space(call: Call) -> str:
    size = int(call.attr("blocksize", 1))
    if call.text("mode", "DCR") == "CRD":
        return f"F.pixel_shuffle({call[0]}, {size})"
    return f"{call.use('depth_to_space')}({call[0]}, {size})"


def _space_to_depth(call: Call) -> str:
    size, order = int(call.attr("blocksize", 1)), call.text("mode", "DCR")
    if order == "CRD":
        return f"F.pixel_unshuffle({call[0]}, {size})"
    return f"{call.use('space_to_depth')}({call[0]}, {size})"


def _centre(call: Call) -> str:
    return f"{call.use('centre')}({call[0]}, {call.numbers(1)}, {call.ints_attr('axes')})"


def _reverse(call: Call) -> str:
    axes = f"{call.attr('time_axis', 0)}, {call.attr('batch_axis', 1)}"
    return f"{call.use('reverse_sequences')}({call[0]}, {call[1]}, {axes})"


def _column_to_image(call: Call) -> str:
    size = len(call.items(1) or ()) or (call.shape(1) or (2,))[0] or 2
    parts = [
        call.ints_attr(n, [d] * size * (2 if n == "pads" else 1))
        for n, d in (("strides", 1), ("pads", 0), ("dilations", 1))
    ]
    text = ", ".join(str(part) for part in parts)
    return f"{call.use('columns_to_image')}({call[0]}, {call.numbers(1)}, {call.numbers(2)}, {text})"


RULES: dict[str, Rule] = {
    "Reshape": _reshape, "Transpose": _transpose, "Flatten": _flatten, "Expand": _expand, "Tile": _tile,
    "Split": _split, "Slice": _slice, "Pad": _pad, "DepthToSpace": _depth_to_space, "SpaceToDepth": _space_to_depth,
    "CenterCropPad": _centre, "ReverseSequence": _reverse, "Col2Im": _column_to_image,
}  # fmt: skip
