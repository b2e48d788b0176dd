"""The text of support functions, which generated source gets a copy of."""

from __future__ import annotations

import ast
from functools import cache
from importlib import resources
from typing import NamedTuple


class Part(NamedTuple):
    """A function or a type of `support`: its source and the names that it uses."""

    source: str
    uses: frozenset[str]


@cache
def parts() -> dict[str, Part]:
    """All of them by name, in stored order. They are parsed; nothing of them is run here."""
    made = {}
    folder = resources.files("modelglot.graphs.pytorch") / "support"
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".py") and file.name != "__init__.py":
            text = file.read_text("utf-8")
            lines = text.splitlines()
            for node in ast.parse(text).body:
                name = _name(node)
                if name is not None:
                    source = "\n".join(lines[node.lineno - 1 : node.end_lineno])
                    made[name] = Part(source, _used(node) - {name})
    return made


def _used(node: ast.stmt) -> frozenset[str]:
    """Names that are read and are not the function's own."""
    inner = list(ast.walk(node))
    read = {part.id for part in inner if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load)}
    own = {part.id for part in inner if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}
    return frozenset(read - own - {part.arg for part in inner if isinstance(part, ast.arg)})


def _name(node: ast.stmt) -> str | None:
    if isinstance(node, ast.FunctionDef):
        return node.name
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id
    return None


def needed(names: set[str]) -> list[str]:
    """The sources of functions and of what they use, in stored order."""
    every, found, left = parts(), set[str](), list(names)
    while left:
        name = left.pop()
        if name in every and name not in found:
            found.add(name)
            left += every[name].uses
    return [part.source for name, part in every.items() if name in found]
