"""Operators that often work on shapes: on Python numbers where they can, else on tensors."""

from __future__ import annotations

import re

from modelglot.graphs.pytorch import literals
from modelglot.graphs.pytorch.call import Call, Rule
from modelglot.graphs.pytorch.values import NUMBER, NUMBERS, Value, number, numbers, sequence

_FUNCTIONS = ("max", "min")
_MOST = 8  # elements
_SIZE = re.compile(r"\w+\.shape\[\d+\]", re.ASCII)


def on_numbers(call: Call, sign: str, dtype: str = "int64") -> Value | None:
    """An operator of two inputs of which one is a shape and the other a shape or a constant, element by element."""
    found = sides_of(call, 0, 1) if call.count == 2 else None
    if found is None:
        return None
    left, right, axes = found
    made = [_one(a, sign, b) for a, b in zip(left, right, strict=True)]
    return numbers(made, dtype) if axes else number(made[0], dtype)


def sides_of(call: Call, first: int, second: int) -> tuple[list[str], list[str], int] | None:
    """The elements of two inputs, made equally many, and the axes of the result; None where tensors are needed."""
    if call.count <= second or not (call.is_python(first) or call.is_python(second)):
        return None
    sides = []
    for side in (first, second):
        items = call.items(side)
        if items is None or len(items) > _MOST or call.value(side).dtype != "int64":
            return None
        sides.append(items)
    left, right = sides
    axes = max(call.rank(first) or 0, call.rank(second) or 0)
    if axes > 1 or (len(left) != len(right) and 1 not in (len(left), len(right))):
        return None
    size = max(len(left), len(right)) if left and right else 0
    return [left[i % len(left)] for i in range(size)], [right[i % len(right)] for i in range(size)], axes


def _one(left: str, sign: str, right: str) -> str:
    """Quotients are cut towards zero, as ONNX has it; sizes have no sign."""
    if sign in _FUNCTIONS:
        return f"{sign}({left}, {right})"
    sizes = all(_SIZE.fullmatch(text) or text.isdigit() for text in (left, right))
    if sign == "//" and not sizes:
        return f"int({left} / {right})"
    if sign == "==" and any(_SIZE.fullmatch(a) and b.startswith("-") for a, b in ((left, right), (right, left))):
        return "False"
    if _digits(left) and _digits(right):
        return _folded(int(left), sign, int(right), f"({left} {sign} {right})")
    return f"({left} {sign} {right})"


def _digits(text: str) -> bool:
    return text.lstrip("-").isdigit()


def _folded(left: int, sign: str, right: int, otherwise: str) -> str:
    known = {"+": left + right, "-": left - right, "*": left * right, "==": left == right, "<": left < right}
    return str(known[sign]) if sign in known else otherwise


def where_numbers(call: Call) -> Value | None:
    """One shape or the other, element by element."""
    conditions = call.items(0)
    found = sides_of(call, 1, 2)
    if conditions is None or found is None or call.dtype(0) != "bool" or found[2] > 1:
        return None
    left, right, axes = found
    if len(conditions) not in (1, len(left)):
        return None
    made = []
    for index, (yes, no) in enumerate(zip(left, right, strict=True)):
        condition = conditions[index % len(conditions)]
        fixed = {"True": yes, "False": no}.get(condition)
        made.append(fixed if fixed is not None else yes if yes == no else f"({yes} if {condition} else {no})")
    return numbers(made) if axes or call.rank(0) else number(made[0])


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
    items = call.items(0)
    if call.is_python(0):
        return number(f"len({call.value(0).code})" if items is None else str(len(items)))
    return number(f"{call[0]}.numel()")


def _not(call: Call) -> str | Value:
    value = call.value(0)
    if value.kind == NUMBER:
        known = {"True": "False", "False": "True"}
        return number(known.get(value.code, f"(not {value.code})"), "bool")
    return f"torch.logical_not({call[0]})"


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
    one = call.rank(1) == 0 and (where is not None or call.is_python(1))
    index = call.number(1) if one else call[1]
    if -1 <= axis <= 4:
        return f"{call[0]}[{'..., ' if axis < 0 else ':, ' * axis}{index}]"
    return f"{call[0]}.select({axis}, {index})" if one else f"torch.movedim({call[0]}, {axis}, 0)[{index}]"


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
    "Squeeze": _squeeze, "Not": _not, "Identity": _identity,
}  # fmt: skip
