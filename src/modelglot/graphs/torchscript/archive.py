"""The parts of a TorchScript archive that say what it computes: code, modules with their values, constants."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from modelglot.containers.torch_checkpoint.archive import TorchArchive
from modelglot.core.errors import InvalidFileError, LimitError, UnsupportedError, located, printable
from modelglot.core.format import FileSet
from modelglot.core.limits import MIB, Limits
from modelglot.core.tensor import Tensor
from modelglot.core.tree import Inert, Node, TensorRef
from modelglot.graphs.torchscript.values import Cell, Object

_CODE = 16 * MIB  # of one file
_DEEPEST = 60


@dataclass(slots=True)
class Source:
    """A function or a class of the code, and the member it is in."""

    node: ast.FunctionDef | ast.ClassDef
    member: str


@dataclass(slots=True)
class Program:
    """``tensors`` are all that the archive has, by name; ``root`` is the module, its tensors still references."""

    archive: TorchArchive
    root: Inert
    tensors: dict[str, Tensor]
    constants: list[Any]
    files: dict[str, dict[str, Source]] = field(default_factory=dict)

    def find(self, name: str) -> Source | None:
        """The function or class of a qualified name, such as ``__torch__.torch.nn.functional.relu``."""
        module, _, last = name.rpartition(".")
        return self.file(module).get(last)

    def method(self, kind: str, name: str) -> Source | None:
        found = self.find(kind)
        if found is None or not isinstance(found.node, ast.ClassDef):
            return None
        for node in found.node.body:
            if isinstance(node, ast.FunctionDef) and node.name == name:
                return Source(node, found.member)
        return None

    def file(self, module: str) -> dict[str, Source]:
        """What a module of the code defines; nothing where the archive has no such file."""
        if module not in self.files:
            member = f"{self.archive.root}code/{module.replace('.', '/')}.py"
            self.files[module] = {n.name: Source(n, member) for n in self._parsed(member)}
        return self.files[module]

    def _parsed(self, member: str) -> Iterator[ast.FunctionDef | ast.ClassDef]:
        for node in parsed(self.archive, member):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                yield node

    def calls(self) -> Iterator[tuple[str, str, int]]:
        """Every operator that the code names: (``torch.relu``, member, line)."""
        for member in self.archive.zip.by_name:
            if not member.startswith(f"{self.archive.root}code/") or not member.endswith(".py"):
                continue
            for top in parsed(self.archive, member):
                for node in ast.walk(top):
                    name = dotted(node.func) if isinstance(node, ast.Call) else None
                    if name and name.startswith(("torch.", "ops.")):
                        yield name, member, node.lineno  # type: ignore[attr-defined]


def read_program(files: FileSet, limits: Limits) -> Program:
    """Raises the errors of reading an archive, and UnsupportedError where the file holds no module."""
    if files.primary is None:
        raise InvalidFileError("a folder is not one file", path=files.root, hint="name the file")
    archive = TorchArchive(files, files.primary, limits)
    named, _ = archive.pickle(f"{archive.root}data.pkl", "data")
    shared = f"{archive.root}constants.pkl"
    tensors, constants = dict(named.tensors), list[Any]()
    if shared in archive.zip.by_name:
        found, _ = archive.pickle(shared, "constants", "constants")
        tensors.update(found.tensors)
        constants = found.tree.items if isinstance(found.tree, Node) else []
    if not isinstance(named.tree, Inert):
        raise UnsupportedError("the archive holds no module", path=archive.zip.source.path)
    return Program(archive, named.tree, tensors, constants)


def parsed(archive: TorchArchive, member: str) -> list[ast.stmt]:
    """The statements of a code file; none where there is no such member. Parsing runs nothing."""
    entry = archive.zip.by_name.get(member)
    if entry is None:
        return []
    with located(path=archive.zip.source.path, member=member):
        if entry.size > _CODE:
            raise LimitError(f"a code file of {entry.size:,} bytes is above the limit of {_CODE:,}")
        archive.used.add(member)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return ast.parse(archive.zip.read(entry)).body
        except (SyntaxError, ValueError) as error:
            raise InvalidFileError(f"is not TorchScript: {printable(str(error))}") from None
        except (RecursionError, MemoryError):
            raise LimitError("the code is nested too deep to be parsed") from None


def dotted(node: ast.AST) -> str | None:
    """``a.b.c`` of an attribute chain."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else None


@dataclass(slots=True)
class Instances:
    """Values of the archive as values of the code; a module that is met twice is the same `Object`."""

    cells: Mapping[str, Cell]
    known: dict[int, Any] = field(default_factory=dict)

    def of(self, value: Any, path: str, depth: int = 0) -> Any:
        if depth > _DEEPEST:
            raise LimitError(f"modules are nested more than {_DEEPEST} deep", member="data.pkl")
        if isinstance(value, TensorRef):
            return self.cells[value.name]
        if not isinstance(value, (Node, Inert)):
            return value
        if id(value) not in self.known:
            self.known[id(value)] = self._made(value, path, depth + 1)
        return self.known[id(value)]

    def _made(self, value: Node | Inert, path: str, depth: int) -> Any:
        dot = f"{path}." if path else ""
        if isinstance(value, Inert):
            body = value.attributes()
            if body is None:
                return str(value.args[0]) if value.role == "called" and value.args else None
            made = Object(value.global_, path=path)
            self.known[id(value)] = made
            for name, item in body.items:
                made.attributes[str(name)] = self.of(item, f"{dot}{name}", depth)
            return made
        if value.is_mapping:
            return {key: self.of(item, f"{dot}{key}", depth) for key, item in value.items}
        items = [self.of(item, f"{dot}{number}", depth) for number, item in enumerate(value.items)]
        return tuple(items) if value.kind == "tuple" else items
