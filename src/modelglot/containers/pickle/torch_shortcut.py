"""A plain tensor of a state dict taken in one step: the opcodes ``torch.save`` writes for it, as one pattern.

A model can have 100,000 tensors of some forty opcodes each, always the same forty. Where they stand exactly so, and
fetch exactly what the machine would fetch, the result is what the machine would make; anything else is left to the
machine, and so is every error. Values that were put in the memo on the way are only made when somebody takes them.
"""

from __future__ import annotations

import re
from struct import Struct
from typing import Any

from modelglot.containers.pickle.torch_storage import Storages, storage_dtype
from modelglot.containers.pickle.torch_tensors import TensorLeaf, touched
from modelglot.containers.pickle.values import Attributed, Late
from modelglot.core.dtype import DType
from modelglot.core.tree import Inert, Node

FUNCTION = "torch._utils._rebuild_tensor_v2"
_ORDERED = "collections.OrderedDict"

_GET, _PUT, _NATURAL = rb"(?:h.|j....)", rb"(q.|r....|)", rb"(?:K.|M..|J....)"
_TUPLE = rb"(\)|%(n)b\x85|%(n)b%(n)b\x86|%(n)b%(n)b%(n)b\x87|\((?:%(n)b)*t)" % {b"n": _NATURAL} + _PUT
_TENSOR = re.compile(
    rb"\(\((%(get)b%(get)b)X(.)\0\0\0([0-9]+)%(put)b(%(get)b)(%(natural)b)t%(put)bQ(%(natural)b)%(tuple)b%(tuple)b"
    rb"\x89(%(get)b)\)R%(put)bt%(put)bR%(put)b" % {b"get": _GET, b"put": _PUT, b"natural": _NATURAL, b"tuple": _TUPLE},
    re.DOTALL,
)  # after the function: (("storage", class, key, device, count), offset, shape, strides, False, OrderedDict())
_SEVEN = Struct("<" + "xI" * 7)

_Fetched = tuple[int, int, int, int]
_View = tuple[tuple[int, ...], tuple[int, ...], tuple[int, bool]]  # shape, strides, what `touched` says


class Shortcut:
    """Called after `FUNCTION` was fetched; None where what follows is not the usual sequence."""

    def __init__(self, storages: Storages) -> None:
        self._storages = storages
        self._fetched: dict[tuple[bytes, bytes, bytes], _Fetched] = {}
        self._views: dict[tuple[bytes, bytes], _View | None] = {}
        self._naturals: dict[bytes, int] = {}
        self._dtypes: dict[str, DType | None] = {}

    def __call__(self, data: bytes, pos: int, memo: dict[int, Any]) -> tuple[TensorLeaf, int] | None:
        """The leaf and the position after it; ``memo`` has gained what the sequence puts in it."""
        found = _TENSOR.match(data, pos)
        if found is None:
            return None
        (kinds, length, digits, put_key, device, count, put_pid, offset, sizes, put_sizes, strides, put_strides,
         ordered, put_dict, put_arguments, put_leaf) = found.groups()  # fmt: skip
        at = self._fetched.get((kinds, device, ordered))
        if at is None:
            at = self._fetched[kinds, device, ordered] = _fetched(kinds, device, ordered)
        cls, empty = memo.get(at[1]), memo.get(at[3])
        if memo.get(at[0]) != "storage" or memo.get(at[2]) != "cpu" or type(cls) is not Inert:
            return None
        if type(empty) is not Inert or empty.global_ != _ORDERED or empty.role != "reference":
            return None
        dtype, view = storage_dtype(cls), self._views.get((sizes, strides))
        if view is None:
            view = self._views[sizes, strides] = _view(sizes, strides)
        number, first = self._naturals.get(count), 0 if offset == b"K\0" else self._natural(offset)
        if number is None:
            number = self._natural(count)
        if dtype is None or view is None or number < 0 or first < 0 or length[0] != len(digits):
            return None
        raw = put_key + put_pid + put_sizes + put_strides + put_dict + put_arguments + put_leaf
        if len(raw) == 35:
            numbers: tuple[int, ...] = _SEVEN.unpack(raw)
        else:
            puts = (put_key, put_pid, put_sizes, put_strides, put_dict, put_arguments, put_leaf)
            numbers = tuple(_number(put) if put else -1 for put in puts)
        if at[2] in numbers or at[3] in numbers:  # fetched in between, so what is put there would count
            return None
        leaf = TensorLeaf(
            self._storages.storage(digits.decode(), dtype, "cpu", number), dtype, first, view[0], view[1], view[2]
        )
        if raw:
            memo.update(dict.fromkeys((n for n in numbers if n >= 0), _Sequence(numbers, cls, leaf)))
        return leaf, found.end()

    def _natural(self, raw: bytes) -> int:
        """The operand of BININT1, BININT2 or BININT, which may be negative."""
        known = self._naturals[raw] = int.from_bytes(raw[1:], "little", signed=raw[0] == 0x4A)
        return known


class _Sequence(Late):
    """What one sequence put in the memo, made when one of its values is taken."""

    __slots__ = ("cls", "leaf", "numbers")

    def __init__(self, numbers: tuple[int, ...], cls: Inert, leaf: TensorLeaf) -> None:
        self.numbers, self.cls, self.leaf = numbers, cls, leaf  # -1 for a value that was not put

    def settle(self, memo: dict[int, Any]) -> None:
        leaf = self.leaf
        storage = leaf.storage
        pid = Node("tuple", ["storage", self.cls, storage.key, storage.device, storage.count])
        shape, strides = Node("tuple", list(leaf.shape)), Node("tuple", list(leaf.strides))
        hooks = Attributed("ordereddict", [])
        arguments = Node("tuple", [storage, leaf.offset, shape, strides, False, hooks])
        values = (storage.key, pid, shape, strides, hooks, arguments, leaf)
        for number, value in reversed(tuple(zip(self.numbers, values, strict=True))):  # the last put counts
            if memo.get(number) is self:  # and nothing else was put there since
                memo[number] = value


def _number(raw: bytes) -> int:
    """The operand of a BINGET, LONG_BINGET, BINPUT or LONG_BINPUT."""
    return int.from_bytes(raw[1:], "little")


def _fetched(kinds: bytes, device: bytes, ordered: bytes) -> _Fetched:
    cut = 2 if kinds[:1] == b"h" else 5
    return _number(kinds[:cut]), _number(kinds[cut:]), _number(device), _number(ordered)


def _view(sizes: bytes, strides: bytes) -> _View | None:
    shape, steps = _numbers(sizes), _numbers(strides)
    if len(shape) != len(steps) or min((*shape, *steps), default=0) < 0:
        return None
    return shape, steps, touched(shape, steps)


def _numbers(raw: bytes) -> tuple[int, ...]:
    """The numbers of a tuple in the form of the pattern."""
    found, at, end = [], 1 if raw[:1] == b"(" else 0, len(raw) - 1
    while at < end:
        width = {0x4B: 1, 0x4D: 2, 0x4A: 4}[raw[at]]
        found.append(int.from_bytes(raw[at + 1 : at + 1 + width], "little", signed=width == 4))
        at += 1 + width
    return tuple(found)
