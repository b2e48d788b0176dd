"""The shape of the code: one-way layers, small files, lazy imports, no talking below the command line."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import modelglot

SRC = Path(modelglot.__file__).parent
ALLOW = tomllib.loads((Path(__file__).parent / "allow.toml").read_text())
MODULES = sorted(SRC.rglob("*.py"))

# A module imports only from rows below its own (a higher number); rows on one line do not import one another,
# except inside one package.
ROWS = [
    ("cli", "web"),
    ("report",),
    ("api",),
    ("features", "targets", "graphs"),
    ("engine",),
    ("families", "passes", "formats"),
    ("kernels", "containers"),
    ("sources",),
    ("core",),
]
ROW = {name: number for number, row in enumerate(ROWS) for name in row}
# report renders what the api returns, so it only needs the features' types
OUTSIDE = {"testing", "__init__", "__main__"}


def package(path: Path) -> str:
    return path.relative_to(SRC).with_suffix("").parts[0]


def unit(path: Path) -> str:
    """What may not import its neighbours: a format, a feature; elsewhere the package."""
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:2]) if parts[0] in ("formats", "features") else parts[0]


def imports(path: Path) -> list[tuple[str, bool]]:
    """(module, at top level) for everything of ours that a file imports; type-checking imports count as well."""
    found = []
    tree = ast.parse(path.read_text())
    top = {id(n) for n in tree.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.append((node.module, id(node) in top))
        elif isinstance(node, ast.Import):
            found.extend((a.name, id(node) in top) for a in node.names)
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SRC)))
def test_imports_only_point_down(path: Path) -> None:
    own = package(path)
    if own in OUTSIDE:
        return
    for module, _ in imports(path):
        if not module.startswith("modelglot"):
            continue
        parts = module.split(".")
        assert len(parts) > 1 or own in ("cli", "web"), "the package's __init__ is for users"
        if len(parts) == 1:
            continue
        other = parts[1]
        assert other != "testing", "testing is imported by nothing"
        if other == own:
            if own in ("formats", "features") and len(parts) > 2:
                target = ".".join(parts[1:3])
                shared = target in ("formats.registry",) or unit(path) in ("formats.registry", "formats.__init__")
                assert target == unit(path) or shared, f"{unit(path)} imports its neighbour {target}"
            continue
        assert ROW[other] > ROW[own], f"{own} may not import {other}"
    if own == "formats":
        assert not any(m.startswith("modelglot.kernels") for m, _ in imports(path)), "formats describe, kernels compute"
    if own == "core":
        outside = {m.split(".")[0] for m, _ in imports(path)} - {"modelglot"} - set(sys.stdlib_module_names)
        assert not outside, f"core needs the standard library only, not {outside}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SRC)))
def test_files_are_small(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    name = str(path.relative_to(SRC))
    allowed = ALLOW["long"].get(name, {"lines": 400})["lines"]
    assert lines <= allowed, f"{name} has {lines} lines: split it, or say why in allow.toml"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SRC)))
def test_nobody_prints_exits_asserts_or_evaluates(path: Path) -> None:
    if package(path) in ("testing",):
        return
    for node in ast.walk(ast.parse(path.read_text())):
        assert not isinstance(node, ast.Assert), f"line {node.lineno}: what is in a file is checked with an error class"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("eval", "exec", "__import__", "compile"), f"line {node.lineno}: {node.func.id}"
            if package(path) != "cli":
                assert node.func.id not in ("print", "exit", "input"), f"line {node.lineno}: {node.func.id}"
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
            assert not set(names) & {"pickle", "pickletools", "marshal", "shelve", "dill"}, (
                f"line {node.lineno}: {names}"
            )


HEAVY = {"numpy", "ml_dtypes", "torch", "rich", "jax", "tensorflow", "gguf", "click", "blake3"}


def loaded(code: str) -> set[str]:
    """Top-level modules in memory after running ``code`` in a fresh interpreter."""
    script = f"import sys\n{code}\nprint(' '.join(sorted({{m.split('.')[0] for m in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split("\n")[-2].split())


def test_importing_is_light() -> None:
    assert not loaded("import modelglot") & HEAVY


def test_inspecting_needs_no_numpy_and_no_rich(tmp_path: Path) -> None:
    import numpy as np

    path = tmp_path / "a.safetensors"
    modelglot.save({"w": np.zeros(3, np.float32)}, path)
    heavy = loaded(f"from modelglot.cli.main import run\nrun(['inspect', '--json', {str(path)!r}])") & HEAVY
    assert heavy == {"click"}


def test_a_command_starts_without_numpy() -> None:
    """What `convert`, `scan` and `verify` import before they know what they are given."""
    verbs = "converting", "quantizing", "scanning", "verifying"
    heavy = loaded("".join(f"import modelglot.cli.{verb}\n" for verb in verbs)) & HEAVY
    assert heavy == {"click"}


def test_the_public_names() -> None:
    verbs = [
        "check",
        "compare",
        "convert",
        "diff",
        "digest",
        "inspect",
        "inspect_many",
        "load",
        "open",
        "pack",
        "quantize",
        "save",
        "scan",
        "stats",
        "verify",
    ]
    assert modelglot.__all__ == ["__version__", *verbs]
    for name in modelglot.__all__:
        assert getattr(modelglot, name) is not None


def test_functions_are_not_hidden_by_packages() -> None:
    """`modelglot.inspect` must stay the function after everything has been imported."""
    import modelglot.cli.inspecting

    assert callable(modelglot.inspect)
    assert callable(modelglot.diff)
