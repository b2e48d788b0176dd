"""Value transforms between dialects, each both ways, as descriptions that the engine computes while it moves bytes.

Whole rows are moved in their stored form, so quantized blocks are never decoded for a permutation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod

from modelglot.core.derive import dequantize
from modelglot.core.dtype import DTYPES
from modelglot.core.encoding import PLAIN, Blocks
from modelglot.core.errors import InvalidFileError
from modelglot.core.tensor import Derived, Tensor, contiguous_strides
from modelglot.core.views import arrange, joined, part, reshaped, rows
from modelglot.families.family import Config

Size = str | Callable[[Config], int]


@dataclass(frozen=True)
class RopeRows:
    """Rows of Q or K from halves to pairs, a head at a time: rotary dimensions d and d + half become neighbours.

    ``heads`` names the number of heads, or computes it.
    """

    heads: Size

    def there(self, tensors: Sequence[Tensor], config: Config) -> list[Tensor]:
        return [_turned(t, size(self.heads, config), 2) for t in tensors]

    def back(self, tensors: Sequence[Tensor], config: Config) -> list[Tensor]:
        heads = size(self.heads, config)
        return [_turned(t, heads, t.shape[0] // heads // 2) for t in tensors]


def _turned(tensor: Tensor, heads: int, inner: int) -> Tensor:
    """(heads, inner, rest) rows as (heads, rest, inner)."""
    count = tensor.shape[0]
    if heads < 1 or inner < 1 or count % (heads * inner):
        raise InvalidFileError(f"{count:,} rows are no whole number for {heads:,} heads", tensor=tensor.name)
    rest = count // heads // inner
    return rows(tensor, [(heads, inner * rest), (rest, 1), (inner, rest)])


@dataclass(frozen=True)
class Stack:
    """One tensor an expert and one tensor of all experts, expert by expert."""

    def there(self, tensors: Sequence[Tensor], config: Config) -> list[Tensor]:
        return [joined(tensors, (len(tensors), *tensors[0].shape))]

    def back(self, tensors: Sequence[Tensor], config: Config) -> list[Tensor]:
        (whole,) = tensors
        return [reshaped(part(whole, e, e + 1), whole.shape[1:]) for e in range(whole.shape[0])]


@dataclass(frozen=True)
class Cut:
    """One Hugging Face tensor that GGUF keeps as several along an axis; ``sizes`` of all but the last, or halves."""

    sizes: tuple[Size, ...] = ()
    axis: int = 0

    def there(self, tensors: Sequence[Tensor], config: Config) -> list[Tensor]:
        (whole,) = tensors
        axis = self.axis % len(whole.shape)
        lengths = [size(s, config) for s in self.sizes] or [whole.shape[axis] // 2]
        ends = [0]
        for length in [*lengths, whole.shape[axis] - sum(lengths)]:
            ends.append(ends[-1] + length)
        return [part(whole, a, b, axis) for a, b in pairwise(ends)]

    def back(self, tensors: Sequence[Tensor], config: Config) -> list[Tensor]:
        axis = self.axis % len(tensors[0].shape)
        total = sum(t.shape[axis] for t in tensors)
        shape = (*tensors[0].shape[:axis], total, *tensors[0].shape[axis + 1 :])
        if axis == 0:
            return [joined(tensors, shape)]
        outer = [reshaped(t, (prod(t.shape[:axis]), *t.shape[axis:])) for t in tensors]
        pieces = [reshaped(part(t, n, n + 1), t.shape[1:]) for n in range(outer[0].shape[0]) for t in outer]
        return [joined(pieces, shape)]


@dataclass(frozen=True)
class Shift:
    """A constant added to the values: norms that multiply by 1 + weight in one dialect and by weight in the other."""

    by: float

    def there(self, tensors: Sequence[Tensor], config: Config) -> list[Tensor]:
        return [_mapped(t, "add", self.by) for t in tensors]

    def back(self, tensors: Sequence[Tensor], config: Config) -> list[Tensor]:
        return [_mapped(t, "add", -self.by) for t in tensors]


@dataclass(frozen=True)
class NegExp:
    """State-space decay: the logarithm in one dialect, minus its exponential in the other."""

    def there(self, tensors: Sequence[Tensor], config: Config) -> list[Tensor]:
        return [_mapped(t, "negexp") for t in tensors]

    def back(self, tensors: Sequence[Tensor], config: Config) -> list[Tensor]:
        return [_mapped(t, "lognegated") for t in tensors]


def _mapped(tensor: Tensor, function: str, by: float = 0.0) -> Tensor:
    """float32 of a function of every value (float16 is added to in float16, as the reference converter does)."""
    params = {"from": tensor.type_name, "function": function, "by": by}
    return replace(tensor, dtype=DTYPES["f32"], encoding=PLAIN, data=Derived("map", (tensor,), params))


@dataclass(frozen=True)
class Transpose:
    """Weights stored as (in, out) in one dialect and (out, in) in the other. Vectors stay as they are."""

    def there(self, tensors: Sequence[Tensor], config: Config) -> list[Tensor]:
        return [_transposed(t) if len(t.shape) > 1 else t for t in tensors]

    back = there


def _transposed(tensor: Tensor) -> Tensor:
    """The last two axes exchanged; blocks are decoded to float32 first, since they run along rows."""
    if isinstance(tensor.encoding, Blocks):
        tensor = dequantize(tensor, "f32")
    *outer, height, width = tensor.shape
    steps = contiguous_strides(tensor.shape)
    view = [*zip(outer, steps, strict=False), (width, 1), (height, width)]
    return arrange(tensor, (*outer, width, height), view)


@dataclass(frozen=True)
class Reshape:
    """Axes of size 1 that only one dialect has; ``there``/``back`` shapes from the configuration or the tensor."""

    make: Callable[[tuple[int, ...]], tuple[int, ...]]
    undo: Callable[[tuple[int, ...]], tuple[int, ...]]

    def there(self, tensors: Sequence[Tensor], config: Config) -> list[Tensor]:
        return [reshaped(t, self.make(t.shape)) for t in tensors]

    def back(self, tensors: Sequence[Tensor], config: Config) -> list[Tensor]:
        return [reshaped(t, self.undo(t.shape)) for t in tensors]


@dataclass(frozen=True)
class GroupedQKV:
    """Rows as (``groups``, some heads of Q with one of K and one of V) and as all of Q, all of K, all of V."""

    groups: Size
    heads: Size

    def there(self, tensors: Sequence[Tensor], config: Config) -> list[Tensor]:
        (whole,) = tensors
        groups, each, length = self._counts(whole, config)
        step = (each + 2) * length
        q = rows(whole, [(groups, step), (each * length, 1)])
        k, v = (rows(whole, [(groups, step), (length, 1)], (each + n) * length) for n in (0, 1))
        return [joined([q, k, v], whole.shape)]

    def back(self, tensors: Sequence[Tensor], config: Config) -> list[Tensor]:
        (whole,) = tensors
        groups, each, length = self._counts(whole, config)
        k, v = groups * each * length, groups * (each + 1) * length
        pieces = []
        for n in range(groups):
            pieces += [
                part(whole, n * each * length, (n + 1) * each * length),
                part(whole, k + n * length, k + (n + 1) * length),
                part(whole, v + n * length, v + (n + 1) * length),
            ]
        return [joined(pieces, whole.shape)]

    def _counts(self, whole: Tensor, config: Config) -> tuple[int, int, int]:
        """Groups, heads of Q in each, rows of a head."""
        groups, heads = size(self.groups, config), size(self.heads, config)
        if groups < 1 or heads % groups or whole.shape[0] % (heads + 2 * groups):
            text = f"{whole.shape[0]:,} rows are not Q of {heads:,} heads with K and V of {groups:,}"
            raise InvalidFileError(text, tensor=whole.name)
        return groups, heads // groups, whole.shape[0] // (heads + 2 * groups)


@dataclass(frozen=True)
class Alternate:
    """Every other row of axis 1 in Hugging Face, two tensors in GGUF; ``columns``: the axes 1 and 2 are exchanged too.

    Quantized blocks are moved in whole rows. With ``columns`` they are decoded.
    """

    columns: bool = False

    def there(self, tensors: Sequence[Tensor], config: Config) -> list[Tensor]:
        (whole,) = tensors
        if self.columns:
            experts, width, height = whole.shape
            view = [(experts, width * height), (height // 2, 2), (width, height)]
            return [arrange(whole, (experts, height // 2, width), view, first) for first in (0, 1)]
        experts, height, *rest = whole.shape
        view = [(experts, height), (height // 2, 2)]
        return [arrange(whole, (experts, height // 2, *rest), view, first) for first in (0, 1)]

    def back(self, tensors: Sequence[Tensor], config: Config) -> list[Tensor]:
        if self.columns:
            tensors = [dequantize(t, "f32") if isinstance(t.encoding, Blocks) else t for t in tensors]
        experts, half, *rest = tensors[0].shape
        both = joined([reshaped(t, (1, *t.shape)) for t in tensors], (2, experts, half, *rest))
        if self.columns:
            (width,) = rest
            view = [(experts, half * width), (width, 1), (half, width), (2, experts * half * width)]
            return [arrange(both, (experts, width, 2 * half), view)]
        view = [(experts, half), (half, 1), (2, experts * half)]
        return [arrange(both, (experts, 2 * half, *rest), view)]


@dataclass(frozen=True)
class KeyValue:
    """deepseek's up-projection of both K (without its rotary part) and V, a head at a time; K is transposed in GGUF."""

    heads: Size
    key: Size
    value: Size

    def there(self, tensors: Sequence[Tensor], config: Config) -> list[Tensor]:
        (whole,) = tensors
        heads, key, value = (size(s, config) for s in (self.heads, self.key, self.value))
        if len(whole.shape) != 2 or whole.shape[0] != heads * (key + value):
            raise InvalidFileError(
                f"{list(whole.shape)} is not {heads:,} x ({key:,} + {value:,}) rows", tensor=whole.name
            )
        cut = Cut((lambda _: key,), axis=1)
        k, v = cut.there([reshaped(whole, (heads, key + value, whole.shape[1]))], config)
        return [*Transpose().there([k], config), v]

    def back(self, tensors: Sequence[Tensor], config: Config) -> list[Tensor]:
        k, v = Transpose().there(tensors[:1], config)[0], tensors[1]
        if isinstance(v.encoding, Blocks):
            v = dequantize(v, "f32")
        (both,) = Cut((lambda _: k.shape[1],), axis=1).back([k, v], config)
        return [reshaped(both, (both.shape[0] * both.shape[1], both.shape[2]))]


def size(what: Size, config: Config) -> int:
    """A number the configuration has under that name, or computes."""
    found = what(config) if callable(what) else config.get(what)
    if not isinstance(found, int) or isinstance(found, bool) or found < 0:
        name = "a size" if callable(what) else f"`{what}`"
        raise InvalidFileError(f"{name} is {found!r} in the configuration")
    return found
