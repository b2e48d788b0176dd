"""Operators that often work on shapes: on Python numbers where they can, else on tensors."""

from __future__ import annotations

from modelglot.graphs.pytorch import literals
from modelglot.graphs.pytorch.call import Call, Rule
from modelglot.graphs.pytorch.values import NUMBER, NUMBERS, Value, number, numbers, sequence

_FUNCTIONS = ("max", "min")


def on_numbers(call: Call, sign: str, dtype: str = "int64") -> Value | None:
    """An operator of two inputs of which one is a shape and the other a shape or a constant, element by element."""
    if call.count != 2 or not (call.is_python(0) or call.is_python(1)):
        return None
    sides = []
    for side in (0, 1):
        value, items = call.value(side), call.items(side)
        if items is None or len(items) > 8 or value.dtype != "int64":
            return None
        sides.append(items)
    left, right = sides
    axes = max(call.rank(0) or 0, call.rank(1) or 0)
    if axes > 1 or (len(left) != len(right) and 1 not in (len(left), len(right))):
        return None
    size = max(len(left), len(right)) if left and right else 0
    made = [_one(left[i % len(left)], sign, right[i % len(right)]) for i in range(size)]
    if axes == 0:
        return number(made[0], dtype)
    return numbers(made) if dtype == "int64" else None


def _one(left: str, sign: str, right: str) -> str:
    """Quotients are cut towards zero, as ONNX has it; sizes have no sign."""
    if sign in _FUNCTIONS:
        return f"{sign}({left}, {right})"
    sizes = all(".shape[" in text or text.isdigit() for text in (left, right))
    if sign in ("//", "%") and not sizes:
        return f"int({left} / {right})" if sign == "//" else f"({left} % {right})"
    if _digits(left) and _digits(right):
        return _folded(int(left), sign, int(right), f"({left} {sign} {right})")
    return f"({left} {sign} {right})"


def _digits(text: str) -> bool:
    return text.lstrip("-").isdigit()


def _folded(left: int, sign: str, right: int, otherwise: str) -> str:
    known = {"+": left + right, "-": left - right, "*": left * right}
    return str(known[sign]) if sign in known else otherwise


def _shape(call: Call) -> Value:
    if call.is_python(0):
        items = call.items(0)
        whole = numbers([] if call.value(0).kind == NUMBER else [str(len(items))]) if items is not None else None
        return whole or sequence(f"({call.scope.tensor(call.value(0))}.shape)")
    x, rank = call[0], call.rank()
    begin, end = call.attr("start", 0), call.attr("end")
    if rank is None:
        cut = "" if not begin and end is None else f"[{begin or ''}:{'' if end is None else end}]"
        return sequence(f"{x}.shape{cut}")
    return numbers([f"{x}.shape[{axis}]" for axis in range(rank)[begin:end]])


def _size(call: Call) -> Value:
    return number(f"{call[0]}.numel()")


def _gather(call: Call) -> str | Value:
    axis, where = int(call.attr("axis", 0)), call.ints(1)
    value = call.value(0)
    if call.is_python(0) and value.kind == NUMBERS and where is not None and len(where) <= 8:
        items = value.items
        picked = [_item(value, index) for index in where] if items is None or _inside(where, len(items)) else None
        if picked is not None and call.rank(1) == 0:
            return number(picked[0])
        if picked is not None and call.rank(1) == 1:
            return numbers(picked)
    x, rank = call[0], call.rank(1)
    if where is not None and rank == 0:
        return f"{x}.select({axis}, {where[0]})"
    if rank == 0 and call.is_python(1):
        return f"{x}.select({axis}, {call.number(1)})"
    if axis == 0 and call.rank(0) == 2 and value.weight is not None:
        return f"F.embedding({_positive(call)}, {x})"
    return f"{call.use('take')}({x}, {call[1]}, {axis})"


def _positive(call: Call) -> str:
    """Indices may be negative; `F.embedding` has no such ones."""
    indices = call[1]
    size = (call.shape(0) or (None,))[0]
    if call.dtype(1) not in ("int64", "int32") or size is None:
        return f"{indices}.long() % {call[0]}.shape[0]"
    return f"{indices} % {size}"


def _inside(where: list[int], size: int) -> bool:
    return all(-size <= index < size for index in where)


def _item(value: Value, index: int) -> str:
    return value.items[index] if value.items is not None else f"{value.code}[{index}]"


def _concat(call: Call) -> str | Value:
    axis = int(call.attr("axis", 1 if call.version < 4 else 0))
    values = [call.value(number) for number in range(call.count)]
    if any(value.kind == NUMBERS for value in values) and all(value.dtype == "int64" for value in values):
        lists = [call.items(number) for number in range(call.count)]
        whole = [items for items in lists if items is not None]
        if len(whole) == len(lists):
            return numbers([item for items in whole for item in items])
        if not all(value.kind == NUMBERS or value.array is not None for value in values):
            return f"torch.cat({literals.items(call.all())}, dim={axis})"
        parts = [", ".join(i) if i is not None else f"*{v.code}" for i, v in zip(lists, values, strict=True)]
        return sequence(f"({', '.join(part for part in parts if part)},)")
    return f"torch.cat({literals.items(call.all())}, dim={axis})"


def axes_of(call: Call, until: int, number: int = 1) -> list[int] | None:
    """The axes of an operator, an attribute before opset ``until`` and an input since; None where not known."""
    return call.ints_attr("axes") if call.version < until else call.ints(number)


def _unsqueeze(call: Call) -> str | Value:
    axes = axes_of(call, 13)
    value = call.value(0)
    if value.kind == NUMBER and axes in ([0], [-1]) and value.dtype == "int64":
        return numbers([value.code])
    x = call[0]
    if axes is None:
        return f"{call.use('unsqueeze')}({x}, {call.numbers(1)})"
    rank = call.rank()
    if rank is not None:
        axes = [axis % (rank + len(axes)) for axis in axes]
    elif len(axes) > 1 and any(axis < 0 for axis in axes):
        return f"{call.use('unsqueeze')}({x}, {literals.items([str(a) for a in axes])})"
    return x + "".join(f".unsqueeze({axis})" for axis in sorted(axes))


def _squeeze(call: Call) -> str | Value:
    given = call.has(1) if call.version >= 13 else call.attr("axes") is not None
    axes = axes_of(call, 13) if given else None
    value = call.value(0)
    if value.kind == NUMBERS and value.items is not None and len(value.items) == 1 and axes in (None, [0], [-1]):
        return number(value.items[0])
    if not given:
        return f"{call[0]}.squeeze()"
    dims = call.numbers(1) if axes is None else ", ".join(str(axis) for axis in axes)
    if axes is None:
        return f"{call[0]}.squeeze(tuple({dims}))"
    return f"{call[0]}.squeeze({dims if len(axes) == 1 else f'({dims})'})" if axes else call[0]


def _identity(call: Call) -> Value:
    return call.value(0).copy()


RULES: dict[str, Rule] = {
    "Shape": _shape, "Size": _size, "Gather": _gather, "Concat": _concat, "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze, "Identity": _identity,
}  # fmt: skip
