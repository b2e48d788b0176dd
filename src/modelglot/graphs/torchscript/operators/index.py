"""Elements by number: embeddings, gathers, scatters, indexing with tensors."""

from __future__ import annotations

from typing import Any

from modelglot.core.errors import UnsupportedError
from modelglot.graphs.torchscript import dtypes
from modelglot.graphs.torchscript.emitter import Dim
from modelglot.graphs.torchscript.kit import Kit
from modelglot.graphs.torchscript.operators.shape import expand
from modelglot.graphs.torchscript.operators.table import Table
from modelglot.graphs.torchscript.values import is_number

TABLE = Table()


@TABLE("embedding")
def embedding(g: Kit, weight: Any, indices: Any, *rest: Any) -> Any:
    return g.op("Gather", weight, indices, axis=0)


@TABLE("index_select")
def index_select(g: Kit, x: Any, dim: int, index: Any) -> Any:
    return g.op("Gather", x, index, axis=g.axis(x, dim))


@TABLE("gather")
def gather(g: Kit, x: Any, dim: int, index: Any, sparse_grad: Any = False) -> Any:
    if 0 in (g.rank(x), g.rank(index)):
        found = g.op("GatherElements", g.reshape(x, [-1]), g.reshape(index, [-1]), axis=0)
        return g.reshape(found, g.sizes(index))
    return g.op("GatherElements", x, index, axis=g.axis(x, dim))


@TABLE("scatter")
def scatter(g: Kit, x: Any, dim: int, index: Any, src: Any, reduce: str | None = None) -> Any:
    kinds = {None: "none", "add": "add", "multiply": "mul"}
    if g.rank(x) == 0:
        parts = [v if is_number(v) else g.reshape(v, [-1]) for v in (x, index, src)]
        return g.reshape(scatter(g, parts[0], 0, parts[1], parts[2], reduce), [])
    if is_number(src):
        src = expand(g, g.at(src, g.dtype(x)), g.sizes(index))
    elif g.dims(src) != g.dims(index):
        starts = g.ints([0] * g.rank(index))
        src = g.op("Slice", src, starts, g.vector(g.sizes(index)))
    return g.op("ScatterElements", x, index, g.cast(src, g.dtype(x)), axis=g.axis(x, dim), reduction=kinds[reduce])


TABLE["scatter_add"] = lambda g, x, dim, index, src: scatter(g, x, dim, index, src, "add")


@TABLE("index")
def index(g: Kit, x: Any, indices: Any) -> Any:
    """``x[:, i, j]`` with tensors: those axes first, then ``GatherND``, then back where numpy puts them."""
    given = [(axis, i) for axis, i in enumerate(indices) if i is not None]
    if not given:
        return x
    if len(given) == 1 and g.dtype(given[0][1]) != dtypes.BOOL:
        return g.op("Gather", x, given[0][1], axis=given[0][0])
    expanded, x, front = _numbered(g, x, given)
    rank = g.rank(expanded[0])
    where = g.op("Concat", *(g.unsqueeze(e, [rank]) for e in expanded), axis=-1)
    made = g.op("GatherND", x, where)
    return g.transpose(made, _back(front, rank, g.rank(made)))


def _numbered(g: Kit, x: Any, given: list[tuple[int, Any]]) -> tuple[list[Any], Any, list[int]]:
    """Index tensors of one shape, ``x`` with the indexed axes first, and which axes these were."""
    axes: list[int] = []
    values: list[Any] = []
    shift = 0
    for axis, value in given:
        if g.dtype(value) in (dtypes.BOOL,):
            found = g.op("NonZero", value)
            for number in range(g.rank(value)):
                axes.append(axis + shift + number)
                values.append(g.squeeze(g.slice(found, 0, number, number + 1), [0]))
            shift += g.rank(value) - 1
        else:
            axes.append(axis + shift)
            values.append(g.cast(value, dtypes.INT64))
    if len(values) > 1:
        total = values[0]
        for value in values[1:]:
            total = g.op("Add", total, value)
        shape = g.op("Shape", total)
        values = [_wide(g, v, shape, g.dims(total)) for v in values]
    order = axes + [a for a in range(g.rank(x)) if a not in axes]
    return values, g.transpose(x, order), axes


def _wide(g: Kit, value: Any, shape: Any, dims: list[Dim]) -> Any:
    same = g.dims(value) == dims and None not in dims
    return value if same else g.op("Expand", value, shape, dims=dims)


def _back(axes: list[int], rank: int, total: int) -> list[int]:
    """Where indexed axes stood side by side the result stands in their place, else in front."""
    together = axes == list(range(axes[0], axes[0] + len(axes)))
    if not together or axes[0] == 0:
        return list(range(total))
    before = axes[0]
    moved = list(range(rank, rank + before))
    return moved + list(range(rank)) + list(range(rank + before, total))


@TABLE("index_put", "_index_put_impl")
def index_put(g: Kit, x: Any, indices: Any, values: Any, accumulate: Any = False, *rest: Any) -> Any:
    given = [(axis, i) for axis, i in enumerate(indices) if i is not None]
    if len(given) == 1 and g.dtype(given[0][1]) == dtypes.BOOL and g.rank(values) == 0 and not accumulate:
        mask = g.unsqueeze(given[0][1], list(range(g.rank(given[0][1]), g.rank(x) - given[0][0])))
        return g.op("Where", mask, g.cast(values, g.dtype(x)), x)
    expanded, turned, front = _numbered(g, x, given)
    rank = g.rank(expanded[0])
    where = g.op("Concat", *(g.unsqueeze(e, [rank]) for e in expanded), axis=-1)
    if front != list(range(len(front))):
        raise UnsupportedError("elements are put by tensors along other axes than the first")
    shape = g.vector(g.sizes(expanded[0]) + g.sizes(turned)[len(front) :])
    filled = g.op("Expand", g.cast(values, g.dtype(x)), shape)
    return g.op("ScatterND", turned, where, filled, reduction="add" if accumulate else "none", dims=g.dims(x))


def _axis(g: Kit, x: Any, dim: Any) -> int:
    """Raises UnsupportedError for a tensor without axes, which ONNX's scatters do not take."""
    if g.rank(x) == 0:
        raise UnsupportedError("elements of a tensor without axes")
    return g.axis(x, dim)


@TABLE("index_fill")
def index_fill(g: Kit, x: Any, dim: int, index: Any, value: Any) -> Any:
    axis = _axis(g, x, dim)
    number = g.at(value, g.dtype(x)) if is_number(value) else g.cast(value, g.dtype(x))
    order = [axis] + [a for a in range(g.rank(x)) if a != axis]
    turned = g.transpose(x, order)
    rows = g.op("Expand", number, g.vector([*g.sizes(index), *g.sizes(turned)[1:]]))
    made = g.op("ScatterND", turned, g.unsqueeze(index, [1]), rows)
    return g.transpose(made, [order.index(a) for a in range(len(order))])


@TABLE("index_copy")
def index_copy(g: Kit, x: Any, dim: int, index: Any, source: Any) -> Any:
    if _axis(g, x, dim) != 0:
        raise UnsupportedError("`index_copy` along another axis than the first")
    return g.op("ScatterND", x, g.unsqueeze(index, [1]), source)


@TABLE("masked_select")
def masked_select(g: Kit, x: Any, mask: Any) -> Any:
    return index(g, expand(g, x, g.sizes(mask)), [mask])


@TABLE("nonzero")
def nonzero(g: Kit, x: Any) -> Any:
    _axis(g, x, 0)
    return g.transpose(g.op("NonZero", x), [1, 0])


@TABLE("nonzero_numpy")
def nonzero_numpy(g: Kit, x: Any) -> list[Any]:
    found = g.op("NonZero", x)
    return [g.squeeze(g.slice(found, 0, i, i + 1), [0]) for i in range(g.rank(x))]


@TABLE("one_hot")
def one_hot(g: Kit, x: Any, classes: int = -1) -> Any:
    if classes == -1:
        raise UnsupportedError("`one_hot` without a number of classes")
    return g.op("OneHot", x, g.constant(classes), g.constant([0, 1]), axis=-1)


@TABLE("take")
def take(g: Kit, x: Any, index: Any) -> Any:
    return g.op("Gather", g.reshape(x, [-1]), index, axis=0)
