"""Find the groups of a quantized model and turn each into one plain float tensor."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace

from modelglot.core.dtype import DTYPES
from modelglot.core.encoding import PLAIN
from modelglot.core.metadata import Metadata
from modelglot.core.model import Model
from modelglot.core.tensor import Derived, Missing, Tensor
from modelglot.passes.methods.method import Config, Decoded, Group, Method
from modelglot.passes.methods.table import METHODS

Found = tuple[str, Method, Group, Decoded]  # module name with its dot, and what was recognised


def groups(tensors: Mapping[str, Tensor], config: Config) -> Iterator[Found]:
    """Every quantized weight of a model, in stored order."""
    for name in tensors:
        for method in METHODS:
            if not name.endswith(method.main):
                continue
            stem = name[: len(name) - len(method.main)]
            if method.weight and stem and not stem.endswith("."):
                continue
            group = {
                s: tensors[stem + s] for s in (method.main, *method.needed, *method.optional) if stem + s in tensors
            }
            if not all(s in group for s in method.needed):
                continue
            decoded = method.recognise(group, config)
            if decoded is not None:
                yield stem, method, group, decoded
                break


def methods(model: Model, config: Config) -> dict[str, int]:
    """How many weights each method holds, by title."""
    count: dict[str, int] = {}
    for _, method, _, _ in groups(model.tensors, config):
        count[method.title] = count.get(method.title, 0) + 1
    return count


def decode(model: Model, config: Config, shapes: Mapping[str, tuple[int, ...]] | None = None) -> Model:
    """Quantized groups as f32 tensors under the name of the weight; scales, zero points and the like are gone.

    ``shapes`` has those that only a value in the file tells (bitsandbytes 4-bit), by weight name.
    """
    made: dict[str, Tensor] = {}
    used: set[str] = set()
    for stem, method, group, decoded in groups(model.tensors, config):
        if any(isinstance(t.data, Missing) for t in group.values()):
            continue
        name = stem + method.weight
        shape = (shapes or {}).get(name, decoded.shape)
        params = {**decoded.params, "inputs": list(group), "shape": list(shape),
                  "dtypes": [t.dtype.name for t in group.values()],
                  "shapes": [list(t.shape) for t in group.values()]}  # fmt: skip
        first = model.tensors[stem + method.main]
        data = Derived(method.kernel, tuple(group.values()), params)
        made[first.name] = replace(first, name=name, dtype=DTYPES["f32"], encoding=PLAIN, shape=shape, data=data)
        used.update(t.name for t in group.values())
    if not made:
        return model
    kept = (made.get(n, t) for n, t in model.tensors.items() if n in made or n not in used)
    return replace(model, tensors={t.name: t for t in kept}, metadata=_plain(model.metadata), tree=None)


def _plain(metadata: Metadata) -> Metadata:
    """Without torchao's description of each tensor, which its loader would follow."""
    names = metadata.get("tensor_names")
    try:
        own = {"tensor_names", *json.loads(names)} if isinstance(names, str) else set()
    except (ValueError, TypeError):
        return metadata
    return Metadata({k: e for k, e in metadata.entries() if k not in own}) if own else metadata
