"""A second look at source before it is given away: nothing is in it but what this program puts there.

Rules already cannot put text of a file into code. Should one do so by mistake, the source is not written.
"""

from __future__ import annotations

import ast

from modelglot.core.errors import InvalidFileError, UnsafeContentError

_IMPORTS = frozenset({"__future__", "itertools", "math", "pathlib", "torch", "torch.nn.functional", "typing"})
_IMPORTED = frozenset({"collections.abc", "safetensors.torch"})
_TEXT = """__file__ super str getattr bool complex float int isinstance len list max min range tuple zip
F Any itertools math nn self torch"""
_NAMES = frozenset(_TEXT.split())  # of the lines that rules and `source` write
_DUNDER = frozenset({"__init__", "__getitem__"})


def check(source: str, names: set[str]) -> None:
    """``names`` are those that were made for values and functions.

    Raises UnsafeContentError for any other name, import or special attribute; InvalidFileError for what is no Python,
    as with more blocks than that can nest.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InvalidFileError("the graph gives source that Python cannot read", detail=str(error)) from error
    known = names | _NAMES | {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    known |= {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id not in known:
            raise _unsafe(node.id)
        if isinstance(node, ast.Attribute) and node.attr.startswith("__") and node.attr not in _DUNDER:
            raise _unsafe(node.attr)
        if isinstance(node, ast.Import) and not {alias.name for alias in node.names} <= _IMPORTS:
            raise _unsafe(node.names[0].name)
        if isinstance(node, ast.ImportFrom) and node.module not in _IMPORTS | _IMPORTED:
            raise _unsafe(str(node.module))


def _unsafe(name: str) -> UnsafeContentError:
    return UnsafeContentError(
        f"the source would say `{name}`, which nothing here writes", hint="please report this file"
    )
