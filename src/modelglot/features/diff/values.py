"""Compare two models by their values, whatever the tensors are called: equal bytes, equal after turning axes, or equal
with a flattened image in another order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import permutations
from typing import Any

from modelglot.core.tensor import Missing, Tensor
from modelglot.features.diff.tensors import Diff, Pair

Values = Callable[[Tensor], Any]  # the tensor as a NumPy array
_MOST_AXES = 5


def match(
    names: tuple[str, str],
    models: tuple[Mapping[str, Tensor], Mapping[str, Tensor]],
    digests: tuple[Mapping[str, str], Mapping[str, str]],
    values: tuple[Values, Values],
    notes: tuple[str, ...] = (),
) -> Diff:
    """Each tensor of the left with one of the right. First those of equal type, shape and bytes, those of equal names
    before others; then those that are equal with their axes in another order."""
    left, right = (dict(model) for model in models)
    pairs = list(_equal(left, right, digests))
    for pair in pairs:
        del left[pair.left], right[pair.right]
    turned = list(_turned(left, right, values))
    for pair in turned:
        del left[pair.left], right[pair.right]
    return Diff(*names, len(pairs) + len(turned), (), tuple(left), tuple(right), notes, (*pairs, *turned))


def _equal(
    left: Mapping[str, Tensor], right: Mapping[str, Tensor], digests: tuple[Mapping[str, str], Mapping[str, str]]
) -> Iterator[Pair]:
    free: dict[Any, list[str]] = {}
    for name, tensor in right.items():
        free.setdefault(_identity(tensor, digests[1].get(name)), []).append(name)
    waiting = []
    for name, tensor in left.items():
        found = free.get(_identity(tensor, digests[0].get(name)), [])
        if name in found:
            found.remove(name)
            yield Pair(name, name, "equal")
        else:
            waiting.append((name, tensor))
    for name, tensor in waiting:
        found = free.get(_identity(tensor, digests[0].get(name)), [])
        if found and digests[0].get(name) is not None:
            yield Pair(name, found.pop(0), "equal")


def _identity(tensor: Tensor, digest: str | None) -> tuple[Any, ...]:
    return tensor.type_name, tensor.shape, digest


def _turned(left: Mapping[str, Tensor], right: Mapping[str, Tensor], values: tuple[Values, Values]) -> Iterator[Pair]:
    taken: set[str] = set()
    for name, tensor in left.items():
        fitting = [n for n, t in right.items() if n not in taken and _could(tensor, t)]
        mine = values[0](tensor) if fitting else None
        for other in sorted(fitting, key=lambda n: n != name):
            how = _order(mine, values[1](right[other]))
            if how is not None:
                taken.add(other)
                yield Pair(name, other, how)
                break


def _could(a: Tensor, b: Tensor) -> bool:
    if isinstance(a.data, Missing) or isinstance(b.data, Missing) or a.encoding.name != "plain":
        return False
    return a.type_name == b.type_name and a.numel == b.numel and a.numel > 0 and b.encoding.name == "plain"


def _order(a: Any, b: Any) -> str | None:
    """How the axes of ``b`` make ``a``: None where they do not."""
    import numpy as np

    raw = np.dtype(f"u{a.dtype.itemsize}") if a.dtype.itemsize in (1, 2, 4, 8) else None
    if raw is None:
        return None
    a, b = (np.ascontiguousarray(x).view(raw) if x.ndim else x.reshape(1).view(raw) for x in (a, b))
    if not np.array_equal(np.sort(a, axis=None), np.sort(b, axis=None)):
        return None
    slim = [tuple(n for n in x.shape if n != 1) for x in (a, b)]
    if slim[0] == slim[1] and np.array_equal(a.reshape(slim[0]), b.reshape(slim[1])):
        return f"the shape {list(b.shape)} as {list(a.shape)}"
    return _axes(a.reshape(slim[0]), b.reshape(slim[1])) or _flattened(a, b)


def _axes(a: Any, b: Any) -> str | None:
    import numpy as np

    if a.ndim != b.ndim or a.ndim > _MOST_AXES:
        return None
    for order in permutations(range(b.ndim)):
        if tuple(b.shape[n] for n in order) == a.shape and np.array_equal(b.transpose(order), a):
            return f"axes {list(order)} of {list(b.shape)}"
    return None


def _flattened(a: Any, b: Any) -> str | None:
    """Matrices whose inputs are a flattened image: height, width and channels were put in a row in another order."""
    import numpy as np

    if a.ndim != 2 or b.ndim != 2:
        return None
    for turned in (b, b.T):
        for mine in (a, a.T):
            if mine.shape != turned.shape:
                continue
            for shape in _images(mine.shape[1]):
                for order in permutations(range(3)):
                    first = turned[0].reshape(shape).transpose(order).ravel()
                    if np.array_equal(first, mine[0]):
                        full = turned.reshape(-1, *shape).transpose(0, *(n + 1 for n in order)).reshape(mine.shape)
                        if np.array_equal(full, mine):
                            return f"inputs are {'x'.join(map(str, shape))} flattened in the order {list(order)}"
    return None


def _images(count: int) -> Iterator[tuple[int, int, int]]:
    """Ways to read so many inputs as three axes, two of which are small."""
    for a in range(1, 65):
        for b in range(a, 65):
            if a * b > 1 and count % (a * b) == 0 and count // (a * b) > 1:
                c = count // (a * b)
                yield from {(a, b, c), (c, a, b), (b, a, c), (a, c, b), (c, b, a)}
