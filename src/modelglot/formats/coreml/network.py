"""Weights of Core ML neural networks, also of those in branches, loops and pipelines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modelglot.containers.protobuf import BYTES, Field
from modelglot.core.errors import located
from modelglot.core.tensor import Tensor
from modelglot.formats.coreml.layers import CUSTOM, Weight, weights
from modelglot.formats.coreml.names import LAYERS
from modelglot.formats.coreml.weights import Reader

_NAME, _CLASS = 1, 10
_NESTED = {605: ((1, "if"), (2, "else")), 615: ((3, "condition"), (4, "body"))}  # branch, loop
_DIRECTIONS = ("forward", "backward")
_BIDIRECTIONAL = 430


@dataclass(slots=True)
class Gathered:
    """What is found in all parts of a file."""

    tensors: dict[str, Tensor] = field(default_factory=dict)
    operators: Counter[str] = field(default_factory=Counter)
    functions: list[str] = field(default_factory=list)
    custom: set[str] = field(default_factory=set)
    strings: dict[str, list[str]] = field(default_factory=dict)
    again: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, tensor: Tensor) -> None:
        self.tensors[name] = tensor

    def free(self, name: str) -> str:
        """The name, or with a number where a tensor has it already."""
        while name in self.tensors:
            self.again[name] = self.again.get(name, 1) + 1
            candidate = f"{name}#{self.again[name]}"
            if candidate not in self.tensors:
                return candidate
        return name


@dataclass(slots=True)
class Network:
    """Walks ``NeuralNetwork`` messages, and those of classifiers and regressors: layers are in the same field."""

    reader: Reader
    found: Gathered

    def walk(self, whole: Field, prefix: str, depth: int) -> None:
        self.reader.limits.check("depth", depth, "networks inside networks", offset=whole.at)
        for part in whole.fields():
            if part.number == 1:
                self._layer(part, prefix, depth)

    def _layer(self, whole: Field, prefix: str, depth: int) -> None:
        name, kind, body = "", 0, None
        for part in whole.fields():
            if part.number == _NAME:
                name = part.text
            elif part.number >= 100 and part.wire == BYTES:
                kind, body = part.number, part
        if body is None:
            return
        fields = _contents(body)
        label = LAYERS.get(kind, f"layer_{kind}")
        if kind == CUSTOM:
            label = f"custom.{fields[_CLASS][-1].text}" if _CLASS in fields else "custom"
            self.found.custom.add(label)
        self.found.operators[label] += 1
        for weight in weights(kind, fields):
            self._weight(weight, kind, fields, f"{prefix}{name or label}")
        for number, inner in _NESTED.get(kind, ()):
            for part in fields.get(number, ()):
                self.walk(part, f"{prefix}{name or label}.{inner}.", depth + 1)

    def _weight(self, weight: Weight, kind: int, fields: Mapping[int, list[Field]], prefix: str) -> None:
        parts = fields.get(weight.path[0], [])
        for index, part in enumerate(parts):
            label = prefix
            if kind == _BIDIRECTIONAL:
                label += f".{_DIRECTIONS[index] if index < 2 else index}"
            inner = part
            if len(weight.path) == 2:
                found = [p for p in part.fields() if p.number == weight.path[1]]
                if not found:
                    continue
                inner = found[-1]
            label += f".{weight.name}" + (f".{index}" if kind == CUSTOM else "")
            self._tensor(label, inner, weight.shape, weight.extra)

    def _tensor(self, name: str, whole: Field, shape: tuple[int, ...] | None, extra: Mapping[str, Any]) -> None:
        limits = self.reader.limits
        limits.check("name", len(name), "the name of a tensor", offset=whole.at)
        limits.check("tensors", len(self.found.tensors) + 1, "tensors", offset=whole.at)
        name = self.found.free(name)
        with located(tensor=name):
            tensor = self.reader.tensor(name, whole, shape, extra)
        if tensor is not None:
            self.found.add(name, tensor)


def _contents(whole: Field) -> dict[int, list[Field]]:
    found: dict[int, list[Field]] = {}
    for part in whole.fields():
        found.setdefault(part.number, []).append(part)
    return found
