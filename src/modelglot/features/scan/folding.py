"""Constants of a Jinja tree: what an expression must become, as far as it is made of constants. Nothing is called but
the few text functions below, on values of at most `_LONG` characters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice, product
from typing import Any

_LONG, _MANY = 4096, 32  # characters of a value, values that a name may have
Values = tuple[Any, ...]

_FILTERS: dict[str, Callable[..., Any]] = {
    "lower": str.lower, "upper": str.upper, "title": str.title, "capitalize": str.capitalize, "trim": str.strip,
    "reverse": lambda v: v[::-1], "string": str, "safe": lambda v: v, "e": lambda v: v, "escape": lambda v: v,
    "join": lambda v, by="": str(by).join(map(str, v)), "first": lambda v: v[0], "last": lambda v: v[-1],
    "replace": lambda v, a, b: v.replace(a, b), "list": list, "format": lambda v, *a: _percent(v, a),
    "default": lambda v, *_: v, "d": lambda v, *_: v, "int": int, "abs": abs, "length": len, "count": len,
}  # fmt: skip
_METHODS: dict[str, Callable[..., Any]] = {
    "join": lambda v, items: v.join(map(str, items)), "replace": lambda v, a, b: v.replace(a, b),
    "lower": lambda v: v.lower(), "upper": lambda v: v.upper(), "strip": lambda v, *a: v.strip(*a),
    "lstrip": lambda v, *a: v.lstrip(*a), "rstrip": lambda v, *a: v.rstrip(*a), "title": lambda v: v.title(),
    "capitalize": lambda v: v.capitalize(), "swapcase": lambda v: v.swapcase(),
    "split": lambda v, *a: v.split(*a), "removeprefix": lambda v, a: v.removeprefix(a),
    "removesuffix": lambda v, a: v.removesuffix(a), "format": lambda v, *a: _braces(v, a),
    "get": lambda v, key, *rest: v.get(key, *rest) if isinstance(v, dict) else None,
}  # fmt: skip
_MAKES = (*_METHODS, "translate", "decode", "encode", "zfill", "center", "ljust", "rjust", "expandtabs", "format_map")


def _percent(text: str, given: Sequence[Any]) -> str:
    if any(c in text for c in "*") or any(ch.isdigit() for ch in text):
        raise ValueError  # widths
    return str(text % tuple(given))


def _braces(text: str, given: Sequence[Any]) -> str:
    """Plain ``{}`` and ``{0}`` only: what a format string could do beyond that is not done here."""
    made = text
    for number, value in enumerate(given[:16]):
        made = made.replace(f"{{{number}}}", str(value)).replace("{}", str(value), 1)
    return made


class Folder:
    """Names that are set are known by all values they are set to, wherever that is; a macro's arguments are not."""

    def __init__(self, every: Sequence[Any]) -> None:
        """``every`` is each node of the tree."""
        from jinja2 import nodes

        self._known: dict[str, Values] = {}
        self._made: dict[int, Values] = {}
        self._building: dict[int, bool] = {}
        sets = [node for node in every if isinstance(node, (nodes.Assign, nodes.With, nodes.For))]
        for _ in range(3):  # names that are set from names
            self._made.clear()
            for node in sets:
                self._learn(node)
        self._made.clear()

    def _learn(self, node: Any) -> None:
        from jinja2 import nodes

        if isinstance(node, nodes.Assign) and isinstance(node.target, nodes.Name):
            self._is(node.target.name, self.values(node.node))
            if isinstance(node.node, nodes.Call):
                for keyword in node.node.kwargs:
                    self._is(f"{node.target.name}.{keyword.key}", self.values(keyword.value))
        elif isinstance(node, nodes.Assign) and isinstance(node.target, nodes.NSRef):
            self._is(f"{node.target.name}.{node.target.attr}", self.values(node.node))
        elif isinstance(node, nodes.Assign) and isinstance(node.target, nodes.Tuple):
            items = getattr(node.node, "items", [])
            for target, value in zip(node.target.items, items, strict=False):
                if isinstance(target, nodes.Name):
                    self._is(target.name, self.values(value))
        elif isinstance(node, nodes.With):
            for target, value in zip(node.targets, node.values, strict=False):
                if isinstance(target, nodes.Name):
                    self._is(target.name, self.values(value))
        elif isinstance(node, nodes.For) and isinstance(node.target, nodes.Name):
            each = [item for v in self.values(node.iter) if isinstance(v, (list, tuple, str)) for item in v[:_MANY]]
            self._is(node.target.name, tuple(each))

    def _is(self, name: str, found: Values) -> None:
        before = self._known.get(name, ())
        self._known[name] = tuple(islice(_distinct([*before, *found]), _MANY))

    def values(self, node: Any) -> Values:
        """All values that are known; () where nothing is."""
        if id(node) not in self._made:
            try:
                found = self._values(node)
            except (TypeError, ValueError, KeyError, IndexError, AttributeError, ArithmeticError):
                found = ()
            self._made[id(node)] = tuple(v for v in found if not isinstance(v, (str, list, tuple)) or len(v) <= _LONG)
        return self._made[id(node)]

    def builds_text(self, node: Any) -> bool:
        """The expression puts a text together out of others."""
        if id(node) not in self._building:
            inner = any(map(self.builds_text, node.iter_child_nodes()))
            self._building[id(node)] = inner or self._builds(node)
        return self._building[id(node)]

    def _builds(self, node: Any) -> bool:
        from jinja2 import nodes

        if isinstance(node, nodes.Filter):
            return node.name in ("join", "replace", "reverse", "format")
        if isinstance(node, nodes.Call):
            return getattr(node.node, "attr", "") in _MAKES
        if isinstance(node, nodes.Add):
            return any(isinstance(v, str) for side in (node.left, node.right) for v in self.values(side))
        return isinstance(node, nodes.Concat)

    def _values(self, node: Any) -> Values:
        found = getattr(self, f"_{type(node).__name__.lower()}", None)
        return tuple(found(node)) if found is not None else ()

    def _each(self, *parts: Any) -> list[tuple[Any, ...]]:
        return list(islice(product(*(self.values(p) for p in parts)), _MANY))

    def _const(self, node: Any) -> Values:
        return (node.value,)

    def _templatedata(self, node: Any) -> Values:
        return (node.data,)

    def _name(self, node: Any) -> Values:
        return self._known.get(node.name, ())

    def _list(self, node: Any) -> Values:
        return tuple(list(items) for items in self._each(*node.items[:64]))

    def _tuple(self, node: Any) -> Values:
        return tuple(self._each(*node.items[:64]))

    def _dict(self, node: Any) -> Values:
        made: dict[Any, Any] = {}
        for pair in node.items[:64]:
            for key, value in self._each(pair.key, pair.value):
                made[key] = value
        return (made,)

    def _concat(self, node: Any) -> Values:
        return tuple("".join(map(str, parts)) for parts in self._each(*node.nodes))

    def _add(self, node: Any) -> Values:
        return tuple(a + b for a, b in self._each(node.left, node.right))

    def _mul(self, node: Any) -> Values:
        return tuple(a * b for a, b in self._each(node.left, node.right) if _small(a, b))

    def _mod(self, node: Any) -> Values:
        return tuple(
            _percent(a, b if isinstance(b, tuple) else (b,)) for a, b in self._each(node.left, node.right)
            if isinstance(a, str)
        )  # fmt: skip

    def _condexpr(self, node: Any) -> Values:
        return (*self.values(node.expr1), *(self.values(node.expr2) if node.expr2 is not None else ()))

    def _or(self, node: Any) -> Values:
        return (*self.values(node.left), *self.values(node.right))

    _and = _or

    def _getattr(self, node: Any) -> Values:
        base = getattr(node.node, "name", None)
        return self._known.get(f"{base}.{node.attr}", ()) if base else ()

    def _getitem(self, node: Any) -> Values:
        if type(node.arg).__name__ == "Slice":
            parts = [node.arg.start, node.arg.stop, node.arg.step]
            bounds = [self.values(p)[0] if p is not None else None for p in parts]
            return tuple(v[slice(*bounds)] for v in self.values(node.node))
        return tuple(v[k] for v, k in self._each(node.node, node.arg))

    def _filter(self, node: Any) -> Values:
        made = _FILTERS.get(node.name)
        if made is None or node.node is None:
            return ()
        return tuple(made(*given) for given in self._each(node.node, *node.args))

    def _call(self, node: Any) -> Values:
        method = _METHODS.get(getattr(node.node, "attr", ""))
        if method is None:
            return ()
        return tuple(method(*given) for given in self._each(node.node.node, *node.args))


def _small(a: Any, b: Any) -> bool:
    sizes = [len(v) if isinstance(v, (str, list, tuple)) else abs(v) for v in (a, b)]
    return sizes[0] * sizes[1] <= _LONG


def _distinct(items: list[Any]) -> list[Any]:
    """Each once; ``1``, ``True`` and ``1.0`` are three."""
    return list({(type(v), v if isinstance(v, (str, int, float)) else repr(v)): v for v in items}.values())
