"""What calls of Python's own data types mean: containers, bytes, numbers. Exact names; Python 2 spellings too."""

from __future__ import annotations

from typing import Any

from modelglot.containers.pickle.values import UNKNOWN, Attributed, Handler
from modelglot.containers.pickle.window import Blob
from modelglot.core.tree import Inert, Node


def handlers() -> dict[str, Handler]:
    """``module.name -> handler`` for containers, bytes and numbers."""
    table: dict[str, Handler] = {
        "collections.OrderedDict": lambda args: _mapping("ordereddict", args),
        "collections.Counter": lambda args: _mapping("counter", args),
        "collections.defaultdict": lambda args: _mapping("defaultdict", args[1:]),
        "collections.deque": lambda args: _sequence("deque", args[:1]),
        "_codecs.encode": _encode,
    }
    for module in ("builtins", "__builtin__"):
        table |= {
            f"{module}.dict": lambda args: _mapping("dict", args),
            f"{module}.set": lambda args: _sequence("set", args),
            f"{module}.frozenset": lambda args: _sequence("frozenset", args),
            f"{module}.list": lambda args: _sequence("list", args),
            f"{module}.tuple": lambda args: _sequence("tuple", args),
            f"{module}.complex": _complex,
            f"{module}.bytes": _bytes,
            f"{module}.bytearray": _bytes,
        }
    for module in ("copyreg", "copy_reg"):
        table[f"{module}._reconstructor"] = _reconstructor
    return table


def as_items(value: Any) -> list[Any] | None:
    """The items of a list or tuple."""
    return value.items if isinstance(value, Node) and value.kind in ("list", "tuple") else None


def _mapping(kind: str, args: list[Any]) -> Any:
    """From nothing, from a mapping, or from a sequence of pairs."""
    if not args:
        return Attributed(kind, [])
    given = args[0]
    if len(args) > 1 or not isinstance(given, Node):
        return UNKNOWN
    if given.is_mapping:
        return Attributed(kind, list(given.items))
    pairs = [as_items(i) for i in given.items]
    if any(p is None or len(p) != 2 for p in pairs):
        return UNKNOWN
    return Attributed(kind, [(p[0], p[1]) for p in pairs if p is not None])


def _sequence(kind: str, args: list[Any]) -> Any:
    if not args or args == [None]:
        return Attributed(kind, [])
    if len(args) > 1 or not isinstance(args[0], Node) or args[0].is_mapping:
        return UNKNOWN
    return Attributed(kind, list(args[0].items))


def _complex(args: list[Any]) -> Any:
    if len(args) == 2 and all(isinstance(a, (int, float)) for a in args):
        return complex(*args)
    return UNKNOWN


def _bytes(args: list[Any]) -> Any:
    """``bytes()``, ``bytearray(b"...")`` and the form of protocol 2, ``bytearray(text, "latin-1")``."""
    if not args:
        return b""
    if len(args) == 1 and isinstance(args[0], (bytes, Blob)):
        return args[0]
    return _encode(args)


def _encode(args: list[Any]) -> Any:
    """How Python 3 writes bytes in protocol 2: text whose characters are the bytes."""
    if len(args) != 2 or not isinstance(args[0], str) or args[1] not in ("latin1", "latin-1"):
        return UNKNOWN
    try:
        return args[0].encode("latin-1")
    except UnicodeEncodeError:
        return UNKNOWN


def _reconstructor(args: list[Any]) -> Any:
    """An instance in protocols 0 and 1: (class, base, state of the base)."""
    if len(args) == 3 and type(args[0]) is Inert and args[0].role == "reference":
        rest = () if args[2] is None else (args[2],)
        return Inert(args[0].global_, "object", rest)
    return UNKNOWN
