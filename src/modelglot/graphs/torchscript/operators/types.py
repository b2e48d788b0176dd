"""Other types, numbers out of tensors, and tensors written over."""

from __future__ import annotations

from typing import Any

from modelglot.graphs.torchscript import dtypes
from modelglot.graphs.torchscript.kit import Kit
from modelglot.graphs.torchscript.operators.shape import expand
from modelglot.graphs.torchscript.operators.table import Table
from modelglot.graphs.torchscript.values import is_number

TABLE = Table()


@TABLE("to", "type_as", "_to_copy")
def to(g: Kit, x: Any, *rest: Any, **named: Any) -> Any:
    """To a type, a device (which is nothing here), or as another tensor."""
    x = g.plain(x)
    wanted = named.get("dtype")
    for value in rest[:2]:
        if isinstance(value, g.ir.Value):
            return g.cast(x, g.dtype(value))
        if isinstance(value, int) and not isinstance(value, bool):
            wanted = value
    return x if wanted is None else g.cast(x, dtypes.onnx_type(wanted))


_TYPES = {"float": 6, "double": 7, "half": 5, "bfloat16": 15, "int": 3, "long": 4, "bool": 11, "byte": 0, "char": 1}
for _name, _code in _TYPES.items():
    TABLE[_name] = lambda g, x, *rest, code=_code: g.cast(g.plain(x), dtypes.onnx_type(code))
    TABLE[f"_cast_{_name.capitalize()}"] = TABLE[_name]


@TABLE("item", "Int", "Float", "Bool", "ScalarImplicit", "IntImplicit", "FloatImplicit")
def item(g: Kit, x: Any) -> Any:
    from modelglot.graphs.torchscript.plain import to_number

    kinds = {0: "bool", 1: "int"}
    return to_number(g, x, kinds.get(dtypes.category(g.dtype_of(x)), "float"))


TABLE["prim.NumToTensor"] = lambda g, x: x


@TABLE("copy")
def copy(g: Kit, x: Any, source: Any, non_blocking: bool = False) -> Any:
    """``copy_``: the other's values in this one's type and shape."""
    value = g.at(source, g.dtype(x)) if is_number(source) else g.cast(source, g.dtype(x))
    return value if g.dims(value) == g.dims(x) and None not in g.dims(x) else expand(g, value, g.sizes(x))


@TABLE("fill")
def fill(g: Kit, x: Any, value: Any) -> Any:
    return copy(g, x, value)


TABLE["zero"] = lambda g, x: copy(g, x, 0)
