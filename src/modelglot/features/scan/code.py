"""Python text that a pickle hands to a function which compiles it (torch.fx): read as a syntax tree, never run."""

from __future__ import annotations

import ast

from modelglot.containers.pickle.harmful import is_harmful

_PACKAGES = frozenset(
    ["torch", "math", "typing", "operator", "numpy", "collections", "onnx2torch", "torchvision", "builtins"]
)
_ASKED = frozenset([
    "eval", "exec", "compile", "open", "getattr", "setattr", "delattr", "globals", "locals", "vars", "input",
    "breakpoint",
    "__import__", "load", "hub", "ops", "serialization", "package", "multiprocessing", "save", "from_file", "os", "sys",
    "fromfile", "memmap", "loadtxt", "genfromtxt", "ctypeslib", "attrgetter", "methodcaller", "system", "popen",
])  # fmt: skip
_LONGEST = 1 << 20


def is_plain(text: str) -> bool:
    """Only imports of known packages and functions that calculate: no name that loads, opens, or reaches inside."""
    if len(text) >= _LONGEST:
        return False
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return not any(word in text for word in ("import", "exec", "eval", "__"))
    own = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)} - {"eval", "exec", "getattr"}
    reads = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call) and _reads(node)}
    return all(_plain(node, own) or id(node) in reads for node in ast.walk(tree))


def _reads(call: ast.Call) -> bool:
    """``getattr`` of a name that stands there, as torch.fx writes for submodules that have numbers."""
    named = call.args[1] if len(call.args) == 2 else None
    known = isinstance(named, ast.Constant) and isinstance(named.value, str) and not _asked(named.value)
    return known and isinstance(call.func, ast.Name) and call.func.id == "getattr"


def _plain(node: ast.AST, own: set[str]) -> bool:
    if isinstance(node, ast.Import):
        return all(_package(alias.name) for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        return _package(node.module or "") and not any(_asked(alias.name) for alias in node.names)
    if isinstance(node, ast.Name):
        return node.id in own or not _asked(node.id)
    if isinstance(node, ast.Attribute):
        return not _asked(node.attr)
    return not isinstance(node, (ast.ClassDef, ast.Global, ast.Nonlocal, ast.AsyncFunctionDef, ast.Delete))


def _package(name: str) -> bool:
    return name.split(".")[0] in _PACKAGES and not is_harmful(f"{name}.x") and not any(map(_asked, name.split(".")))


def _asked(name: str) -> bool:
    return name in _ASKED or name.startswith("__")
