"""What operators are written with: casts, numbers as values, sizes, shapes, promoted pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from modelglot.core.errors import LimitError, UnsupportedError
from modelglot.graphs.torchscript import dtypes
from modelglot.graphs.torchscript.emitter import Dim, Emitter
from modelglot.graphs.torchscript.values import Scalar, is_number

_MOST_MADE = 1_000_000


class Kit(Emitter):
    def cast(self, value: Any, dtype: int) -> Any:
        return value if self.dtype(value) == dtype else self.op("Cast", value, to=dtype)

    def at(self, number: Any, dtype: int) -> Any:
        """A number of the code as a value without axes."""
        if isinstance(number, Scalar):
            return self.cast(number.value, dtype)
        return self.constant(number, dtype)

    def plain(self, value: Any) -> Any:
        """A tensor as it is, a number in the type it has by itself."""
        if isinstance(value, Scalar):
            return value.value
        return self.constant(value, dtypes.OF_KIND[type(value).__name__]) if is_number(value) else value

    def dtype_of(self, value: Any) -> int:
        """Of a tensor or a number; numbers with a point count as f32, PyTorch's default."""
        if isinstance(value, Scalar):
            return {"bool": dtypes.BOOL, "int": dtypes.INT64}.get(value.kind, dtypes.FLOAT)
        if is_number(value):
            return dtypes.of_number(value)
        return dtypes.FLOAT if id(value) in self.wrapped and dtypes.is_float(self.dtype(value)) else self.dtype(value)

    def promoted(self, values: Sequence[Any]) -> int:
        """The type of a result: tensors with axes decide, those without and numbers only by a higher category."""
        groups: list[list[int]] = [[], [], []]
        for value in values:
            level = 2 if is_number(value) or id(value) in self.wrapped else 1 if self.rank(value) == 0 else 0
            groups[level].append(self.dtype_of(value))
        best: int | None = None
        for group in filter(None, groups):
            own = group[0]
            for other in group[1:]:
                own = dtypes.wider(own, other)
            if best is None or dtypes.category(own) > dtypes.category(best):
                best = own
        return best if best is not None else dtypes.FLOAT

    def together(self, *values: Any, floats: bool = False) -> list[Any]:
        """All in their promoted type; ``floats``: in one with a point."""
        dtype = self.promoted(values)
        if floats and not dtypes.is_float(dtype):
            dtype = dtypes.FLOAT
        return [self.at(v, dtype) if is_number(v) else self.cast(v, dtype) for v in values]

    def floats(self, value: Any) -> Any:
        return value if dtypes.category(self.dtype(value)) >= 2 else self.cast(value, dtypes.FLOAT)

    # axes and sizes

    def axis(self, value: Any, axis: Any, more: int = 0) -> int:
        """From the front. Raises UnsupportedError for one that is not there or not known."""
        rank = self.rank(value) + more
        if not isinstance(axis, int):
            raise UnsupportedError("an axis that is only known when the graph runs")
        if not -max(rank, 1) <= axis < max(rank, 1):
            raise UnsupportedError(f"axis {axis} of a tensor with {rank} axes")
        return axis % max(rank, 1)

    def axes(self, value: Any, axes: Any) -> list[int]:
        if axes is None:
            return list(range(self.rank(value)))
        return [self.axis(value, axis) for axis in ([axes] if isinstance(axes, int) else axes)]

    def size(self, value: Any, axis: int) -> int | Scalar:
        dim = self.dims(value)[axis]
        if isinstance(dim, int):
            return dim
        one = self.op("Shape", value, start=axis, end=axis + 1)
        return Scalar(self.op("Squeeze", one, self.ints([0])), "int", dim)

    def sizes(self, value: Any) -> list[int | Scalar]:
        return [self.size(value, axis) for axis in range(self.rank(value))]

    def vector(self, numbers: Sequence[Any]) -> Any:
        """Numbers as one i64 vector."""
        if all(isinstance(n, int) for n in numbers):
            return self.ints([int(n) for n in numbers])
        parts, run = [], list[int]()
        for number in numbers:
            if isinstance(number, int):
                run.append(int(number))
                continue
            parts += [self.ints(run)] if run else []
            run = []
            one = number.value if isinstance(number, Scalar) else number
            parts.append(self.op("Reshape", self.cast(one, dtypes.INT64), self.ints([1])))
        parts += [self.ints(run)] if run else []
        return parts[0] if len(parts) == 1 else self.op("Concat", *parts, axis=0)

    def int_of(self, number: Any, what: str) -> int:
        if not isinstance(number, int):
            raise UnsupportedError(
                f"{what} is only known when the graph runs", hint="give the sizes of inputs as numbers"
            )
        return int(number)

    def made(self, count: int, what: str) -> int:
        """A number of things that are made here and now. Raises LimitError where a file asks for too many."""
        if count > _MOST_MADE:
            raise LimitError(f"{what}: {count:,} elements are made by the code, the most are {_MOST_MADE:,}")
        return count

    def fits(self, value: Any, axis: int, size: Any, what: str) -> None:
        """What ONNX's inference passes over. Raises UnsupportedError where an axis has another size than needed."""
        found = self.dims(value)[axis]
        if isinstance(found, int) and isinstance(size, int) and found != size:
            raise UnsupportedError(f"{what} takes {size:,} at axis {axis} and gets {found:,}", hint="see `--input`")

    def ints_of(self, numbers: Any, count: int, what: str) -> list[int]:
        """``count`` numbers of a list, which may have one for all."""
        found = [numbers] if isinstance(numbers, (int, Scalar)) else list(numbers)
        found = found * count if len(found) == 1 else found
        if len(found) != count:
            raise UnsupportedError(f"{what} has {len(found)} numbers where {count} are needed")
        return [self.int_of(n, what) for n in found]

    def reshape(self, value: Any, shape: Sequence[Any]) -> Any:
        """``shape`` are numbers and Scalars, one of them may be -1."""
        own = self.dims(value)
        wanted = [s if isinstance(s, (int, Scalar)) else Scalar(s, "int") for s in shape]
        dims = _resolved(own, [s.axis if isinstance(s, Scalar) else int(s) for s in wanted])
        if dims == own and None not in own:
            return value
        literal: list[Any] = []
        for position, size in enumerate(wanted):
            known = dims[position]
            same = position < len(own) and isinstance(own[position], str) and own[position] == known
            literal.append(known if isinstance(known, int) else 0 if same else size)
        asked = [i for i, s in enumerate(literal) if isinstance(s, Scalar)]
        if len(asked) == 1 and -1 not in literal and 0 not in [d for d in dims if isinstance(d, int)]:
            literal[asked[0]] = -1
        if 0 in [d for d in dims if isinstance(d, int)] and not asked:  # a zero that is meant
            literal = [d if isinstance(d, int) else s for d, s in zip(dims, wanted, strict=True)]
            return self.op("Reshape", value, self.vector(literal), allowzero=1, dims=dims)
        return self.op("Reshape", value, self.vector(literal), dims=dims)

    def squeeze(self, value: Any, axes: Sequence[int]) -> Any:
        return self.op("Squeeze", value, self.ints(axes)) if axes else value

    def unsqueeze(self, value: Any, axes: Sequence[int]) -> Any:
        return self.op("Unsqueeze", value, self.ints(axes)) if axes else value

    def transpose(self, value: Any, order: Sequence[int]) -> Any:
        return value if list(order) == list(range(len(order))) else self.op("Transpose", value, perm=list(order))

    def slice(self, value: Any, axis: int, start: Any, end: Any, step: Any = 1) -> Any:
        parts = [self.vector([n]) for n in (start, end)]
        return self.op("Slice", value, *parts, self.ints([axis]), None if step == 1 else self.vector([step]))

    def full(self, sizes: Sequence[Any], number: Any, dtype: int) -> Any:
        dims: list[Dim] = [s.axis if isinstance(s, Scalar) else int(s) for s in sizes]
        if not dims:
            return self.at(number, dtype)
        return self.op("Expand", self.at(number, dtype), self.vector(sizes), dims=dims)


def _resolved(own: Sequence[Dim], wanted: Sequence[Dim]) -> list[Dim]:
    """The sizes of a reshaped value, -1 computed where it can be."""
    if -1 not in wanted:
        return list(wanted)
    rest = [d for d in wanted if d != -1]
    if None in own or None in rest or 0 in own or 0 in rest:
        return [None if d == -1 else d for d in wanted]
    names = Counter(d for d in own if isinstance(d, str))
    names.subtract(d for d in rest if isinstance(d, str))
    left = [name for name, count in names.items() if count > 0 for _ in range(count)]
    have, need = _product(own), _product(rest)
    found: Dim = None
    if min(names.values(), default=0) >= 0 and need and have % need == 0:
        if not left:
            found = have // need
        elif len(left) == 1 and have == need:
            found = left[0]
    return [found if d == -1 else d for d in wanted]


def _product(dims: Sequence[Dim]) -> int:
    result = 1
    for dim in dims:
        result *= dim if isinstance(dim, int) else 1
    return result
