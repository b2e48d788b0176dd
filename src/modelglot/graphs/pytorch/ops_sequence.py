"""Sequences as lists of tensors, and optional values as None."""

from __future__ import annotations

from modelglot.graphs.pytorch.call import Call, Rule
from modelglot.graphs.pytorch.values import LIST, NUMBER, Value, number


def _list(code: str) -> Value:
    return Value(code, LIST)


def _construct(call: Call) -> str:
    return f"[{', '.join(call.all())}]"


def _insert(call: Call) -> str:
    return f"{call.use('insert')}({call[0]}, {call[1]}, {call.number(2) if call.has(2) else None})"


def _erase(call: Call) -> str:
    return f"{call.use('erase')}({call[0]}, {call.number(1) if call.has(1) else None})"


def _at(call: Call) -> str:
    return f"{call[0]}[{call.number(1)}]"


def _length(call: Call) -> Value:
    return number(f"len({call[0]})")


def _split(call: Call) -> str:
    sizes = "None"
    if call.has(1):
        known = call.array(1)
        one = known.ndim == 0 if known is not None else call.rank(1) == 0
        sizes = call.number(1) if one else f"list({call.numbers(1)})"
    return f"{call.use('split_sequence')}({call[0]}, {sizes}, {call.attr('axis', 0)}, {call.flag('keepdims', 1)})"


def _join(call: Call) -> str:
    return f"torch.{'stack' if call.flag('new_axis') else 'cat'}({call[0]}, dim={call.attr('axis', 0)})"


def _optional(call: Call) -> Value:
    return call.value(0).copy() if call.has(0) else _list("None")


def _has(call: Call) -> Value:
    if not call.has(0):
        return Value("False", NUMBER, "bool", ())
    return Value(f"({call[0]} is not None)", NUMBER, "bool", ())


RULES: dict[str, Rule] = {
    "SequenceEmpty": "[]", "SequenceConstruct": _construct, "SequenceInsert": _insert, "SequenceErase": _erase,
    "SequenceAt": _at, "SequenceLength": _length, "SplitToSequence": _split, "ConcatFromSequence": _join,
    "Optional": _optional, "OptionalGetElement": _optional, "OptionalHasElement": _has,
}  # fmt: skip
