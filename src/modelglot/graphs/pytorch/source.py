"""The whole file: imports, the module, how it is loaded, and what it needs."""

from __future__ import annotations

import math
import re
from typing import Any

from modelglot.graphs.pytorch import literals, names
from modelglot.graphs.pytorch.module import Module
from modelglot.graphs.pytorch.support_text import needed
from modelglot.graphs.pytorch.values import Value
from modelglot.graphs.pytorch.wrap import WIDTH, wrapped

_SHORT = 6  # outputs whose types are each said
_GROUP = '''class Group(nn.Module):
    """Weights whose names begin alike; one whose name is not Python's is had by ``group["name"]``."""

    def __getitem__(self, name: str | int) -> Any:
        return getattr(self, str(name))

    def add(self, name: str, *shape: int, dtype: torch.dtype = torch.float32) -> None:
        """A parameter, or a buffer where it is no floating-point number. Its values come with the state dict."""
        *path, leaf = name.split(".")
        group = self
        for part in path:
            if part not in group._modules:
                group.add_module(part, Group())
            group = group._modules[part]
        values = torch.zeros(shape, dtype=dtype)
        if dtype.is_floating_point:
            group.register_parameter(leaf, nn.Parameter(values))
        else:
            group.register_buffer(leaf, values)'''
_LOAD = {
    "safetensors": '''def load(path: str | Path = Path(__file__).with_name({file})) -> Net:
    """The module with its weights."""
    from safetensors.torch import load_file

    net = Net()
    net.load_state_dict(load_file(path))
    return net.eval()''',
    "torch-zip": '''def load(path: str | Path = Path(__file__).with_name({file})) -> Net:
    """The module with its weights."""
    net = Net()
    net.load_state_dict(torch.load(path, weights_only=True))
    return net.eval()''',
}


def write(module: Module, graph: Any, title: str, inputs: list[str], lines: list[str], outputs: list[str],
          weights: tuple[str, str] | None) -> str:  # fmt: skip
    """The source. ``inputs`` are parameters with their annotations, ``weights`` the format and name of their file."""
    result = outputs[0] if len(outputs) == 1 else literals.items(outputs)
    body = [*lines, *wrapped(f"return {result if len(outputs) == 1 else result[1:-1]}", "        ")]
    support = needed(module.support)
    load = _LOAD[weights[0]].format(file=literals.text(weights[1])) if weights and module.weights else None
    parts = [_GROUP] if module.weights else []
    parts.append("\n".join([*_class(module, graph), *_init(module), *_forward(inputs, len(outputs)), *body]))
    parts += [load] if load else []
    parts += ["# What ONNX asks for and torch has no single call for.", *support] if support else []
    text = "\n\n\n".join(parts)
    return "\n".join([f'"""{_headline(title)}"""', "", *_imports(text), "", "", text, ""])


def _headline(title: str) -> str:
    shown = names.comment(title)
    return (
        f"The graph of {shown}, as modelglot wrote it for PyTorch."
        if shown
        else "A graph that modelglot wrote for PyTorch."
    )


def _imports(text: str) -> list[str]:
    """Those that the text uses."""
    made = ["from __future__ import annotations", ""]
    used = [name for name in ("itertools", "math") if re.search(rf"\b{name}\.", text)]
    made += [f"import {name}" for name in used]
    abstract = [name for name in ("Callable", "Sequence") if re.search(rf"\b{name}\b", text)]
    made += [f"from collections.abc import {', '.join(abstract)}"] if abstract else []
    made += ["from pathlib import Path"] if "Path(" in text else []
    made += ["from typing import Any"] if re.search(r"\bAny\b", text) else []
    made += [""] if made[-1] else []
    made += ["import torch"]
    made += ["import torch.nn.functional as F"] if re.search(r"\bF\.", text) else []
    return [*made, "from torch import Tensor, nn"]


def _class(module: Module, graph: Any) -> list[str]:
    base = "Group" if module.weights else "nn.Module"
    said = [_port(value) for value in (*graph.inputs, *graph.outputs)]
    about = [f"    {text}" for text in said if text]
    head = f"class Net({base}):"
    if not about:
        return [head]
    count = len(graph.inputs)
    return [head, '    """Inputs and outputs:', "", *about[:count], "    ->", *about[count:], '    """', ""]


def _port(value: Any) -> str:
    """``x: float32 [N, 3, 24, 24]``; parts that are not usual text are left out."""
    name = names.comment(value.name or "") or "?"
    kind = literals.dtype_name(int(value.dtype)) if value.dtype is not None else None
    axes = ""
    if value.shape is not None:
        sizes = [str(a) if isinstance(a, int) else names.comment(str(a.value or "")) or "?" for a in value.shape]
        axes = f" [{', '.join(sizes)}]"
    return f"{name}: {kind or 'any'}{axes}"


def _init(module: Module) -> list[str]:
    if not module.weights and not module.constants:
        return []
    lines = ["    def __init__(self) -> None:", "        super().__init__()"]
    for name, value in module.weights.items():
        shape, dtype = stored_as(value)
        parts = [literals.text(module.keys.key(name)), *(str(size) for size in shape)]
        parts += [f"dtype=torch.{dtype}"] if dtype != "float32" else []
        lines.append(f"        self.add({', '.join(parts)})")
    for name, code in module.constants.items():
        lines += wrapped(f'self.register_buffer("{name}", {code}, persistent=False)', "        ")
    return [*lines, ""]


def stored_as(value: Value) -> tuple[tuple[int, ...], str]:
    """Shape and dtype in the state dict: those of the value, or bytes where several elements lie in one."""
    shape = tuple(size or 0 for size in value.shape or ())
    bits = literals.PACKED.get(value.element or 0)
    return (shape, str(value.dtype)) if bits is None else ((-(-math.prod(shape) * bits // 8),), "uint8")


def _forward(inputs: list[str], outputs: int) -> list[str]:
    result = "Tensor" if outputs == 1 else f"tuple[{', '.join(['Tensor'] * outputs)}]"
    result = result if outputs <= _SHORT else "tuple[Tensor, ...]"
    line = f"    def forward({', '.join(['self', *inputs])}) -> {result}:"
    if len(line) <= WIDTH:
        return [line]
    return ["    def forward(", "        self,", *(f"        {text}," for text in inputs), f"    ) -> {result}:"]
