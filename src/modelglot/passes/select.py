"""Choose tensors by name and give them other names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase

from modelglot.core.errors import InvalidFileError, UnsupportedError, printable
from modelglot.core.model import Model, duplicates
from modelglot.core.tensor import Tensor
from modelglot.core.tree import Node, TensorRef


def matches(name: str, globs: Iterable[str]) -> bool:
    """``*`` crosses dots: ``layers.*.weight`` fits ``layers.0.attn.weight``."""
    return any(fnmatchcase(name, g) for g in globs)


def select(model: Model, include: Iterable[str] = (), exclude: Iterable[str] = ()) -> Model:
    """Keep tensors that fit a glob of ``include`` (all, if there is none) and none of ``exclude``."""
    wanted, unwanted = tuple(include), tuple(exclude)
    kept = {
        name: tensor
        for name, tensor in model.tensors.items()
        if (not wanted or matches(name, wanted)) and not matches(name, unwanted)
    }
    if not kept and model.tensors:
        raise UnsupportedError(
            "no tensor is left by `--include` and `--exclude`", hint="`modelglot inspect --full` lists the names"
        )
    return model if len(kept) == len(model.tensors) else replace(model, tensors=kept, tree=prune(model.tree, kept))


def prune(tree: object, kept: Mapping[str, Tensor]) -> object:
    """The tree without the tensors that were not kept; only mappings and lists on the way to one are copied."""
    if not isinstance(tree, Node):
        return tree
    done: dict[int, Node] = {}

    def visit(node: Node) -> Node:
        if id(node) in done:
            return done[id(node)]
        copy = done[id(node)] = Node(node.kind)
        for item in node.items:
            key, value = item if node.is_mapping else (None, item)
            if isinstance(value, TensorRef) and value.name not in kept:
                continue
            value = visit(value) if isinstance(value, Node) else value
            copy.items.append((key, value) if node.is_mapping else value)
        return copy

    return visit(tree)


def rename(model: Model, rules: Iterable[tuple[str, str]]) -> Model:
    """Apply ``(regular expression, replacement)`` pairs in order to every name.

    Raises InvalidFileError where two tensors would get one name. A nested tree is flattened: its places are the names.
    """
    compiled = []
    for pattern, replacement in rules:
        try:
            compiled.append((re.compile(pattern), replacement))
        except re.error as error:
            raise UnsupportedError(f"{printable(pattern, code=True)} is not a regular expression: {error}") from None
    if not compiled:
        return model
    names = {name: _renamed(name, compiled) for name in model.tensors}
    twice = duplicates(list(names.values()))
    if twice:
        olds = [printable(o, code=True) for o, n in names.items() if n == twice[0]]
        raise InvalidFileError(f"renaming gives {printable(twice[0], code=True)} to {' and '.join(olds[:3])}")
    tensors = {new: replace(model.tensors[old], name=new) for old, new in names.items()}
    return replace(model, tensors=tensors, tree=None)


def _renamed(name: str, rules: list[tuple[re.Pattern[str], str]]) -> str:
    for pattern, replacement in rules:
        name = pattern.sub(replacement, name)
    return name
