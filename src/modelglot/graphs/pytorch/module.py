"""The source that is being made: what the whole of it needs, beside the lines of `forward`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from modelglot.core.tensor import Tensor
from modelglot.graphs.pytorch import literals, names
from modelglot.graphs.pytorch.values import Value

INLINE = 64  # elements; more are kept with the weights
Read = Callable[[Tensor], "bytes | bytearray"]


@dataclass(slots=True)
class Module:
    """``tensors`` are those of the file by name; ``weights`` the ones that the source uses, by name with their key."""

    tensors: Mapping[str, Tensor]
    read: Read
    versions: Mapping[str, int]
    keys: names.Keys
    weights: dict[str, Value] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)  # attribute of the module -> code of its tensor
    support: set[str] = field(default_factory=set)
    device: str = "None"  # expression for the device that new tensors are made on
    taken: set[str] = field(default_factory=set)

    def use(self, function: str) -> str:
        """The name of a support function, which the source will have."""
        self.support.add(function)
        return function

    def weight(self, value: Value) -> str:
        """The expression for a tensor that is kept with the weights."""
        name = value.weight or ""
        self.weights.setdefault(name, value)
        path = names.path_to(self.keys.key(name))
        kind = literals.SMALL.get(value.element or 0)
        if kind is None:
            return path
        shape = literals.items([str(size) for size in value.shape or ()])
        return f"{self.use('unpacked')}({path}, {shape}, {literals.text(kind)})"

    def constant(self, value: Value) -> str:
        """The expression for a small known tensor: a buffer that no state dict has."""
        code = f"torch.tensor({literals.nested(value.array, str(value.dtype))}, dtype=torch.{value.dtype})"
        if 0 in value.array.shape:
            code = f"torch.empty({literals.items([str(n) for n in value.array.shape])}, dtype=torch.{value.dtype})"
        found = next((name for name, other in self.constants.items() if other == code), None)
        if found is None:
            found = f"{self.keys.word}_{len(self.constants) + 1}"
            self.constants[found] = code
        return f"self.{found}"

    def new(self, numbers: str, dtype: str) -> str:
        """A tensor of Python numbers that are known when it runs."""
        return f"torch.tensor({numbers}, dtype=torch.{dtype}, device={self.device})"


def known(tensor: Any) -> Any:
    """The numpy array of a small `onnx_ir` tensor; sub-byte elements as the dtype that stands for them."""
    import numpy as np

    array = tensor.numpy()
    wide = literals.WIDER.get(int(tensor.dtype))
    return array.astype(np.dtype(wide)) if wide else array
