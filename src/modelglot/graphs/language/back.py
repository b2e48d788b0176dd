"""An exported graph as the GGUF model that it was: the same tensors, byte for byte, and the same metadata."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import replace
from math import prod
from typing import Any

from modelglot.core.dtype import DTYPES
from modelglot.core.encoding import BLOCKS
from modelglot.core.errors import InvalidFileError
from modelglot.core.forms import FORMS
from modelglot.core.metadata import Metadata
from modelglot.core.model import Model
from modelglot.core.tensor import Derived, Inline, Tensor
from modelglot.core.views import arrange, joined, part
from modelglot.graphs.language.export import RECORD, REST
from modelglot.graphs.language.linear import EXPERTS, LEFT, TURNED

_OWN = (RECORD, REST)
_BAND = 4 << 20  # numbers of a matrix that are put together at once


def is_exported(model: Model) -> bool:
    return model.format == "onnx" and RECORD in model.metadata


def to_gguf(model: Model) -> Model:
    """Raises InvalidFileError where the record and the tensors of the file disagree."""
    tensors: dict[str, Tensor] = {}
    try:
        rest = json.loads(str(model.metadata.get(REST, "{}")))
        record = json.loads(str(model.metadata[RECORD]))
        if not isinstance(record, list) or not record:
            raise ValueError("no list of tensors")
        for name, kind, shape, how in record:
            if any(type(size) is not int or size < 0 for size in shape):
                raise ValueError(f"`{name}` has the shape {shape}")
            tensors[name] = _tensor(model.tensors, rest, name, kind, tuple(shape), how)
    except (KeyError, ValueError, TypeError, IndexError, RecursionError, binascii.Error) as error:
        raise InvalidFileError(
            f"the record of the GGUF model (`{RECORD}`) does not fit the graph: {error}",
            hint="was the graph changed by another program? `--plain` takes the tensors as they are",
        ) from None
    about = model.graph.about if model.graph else frozenset()
    metadata = Metadata({k: e for k, e in model.metadata.entries() if k not in _OWN and k not in about})
    return replace(model, format="gguf", tensors=tensors, metadata=metadata, graph=None, dialect=None)


def _tensor(
    stored: Mapping[str, Tensor], rest: Mapping[str, str], name: str, kind: str, shape: tuple[int, ...], how: str
) -> Tensor:
    if how == LEFT:
        made = Tensor(name, DTYPES[kind], shape, Inline(base64.b64decode(rest[name])))
        if len(made.data.data) != made.nbytes:  # type: ignore[union-attr]
            raise ValueError(f"`{name}` has another size")
        return made
    if how == EXPERTS:
        base = name.removesuffix(".weight")
        each = [_tensor(stored, rest, f"{base}.{e}.weight", kind, shape[1:], TURNED) for e in range(shape[0])]
        return replace(joined([replace(t, shape=(1, *t.shape)) for t in each], shape), name=name)
    if kind in FORMS:
        return _blocks(stored, name, kind, shape, how == TURNED)
    found = stored[name]
    if found.dtype.name != kind or prod(found.shape) != prod(shape):
        raise ValueError(f"`{name}` is {found.type_name} {list(found.shape)}")
    out, width = shape if how == TURNED else (0, 0)
    return arrange(found, shape, [(out, 1), (width, out)]) if how == TURNED else replace(found, shape=shape)


def _blocks(stored: Mapping[str, Tensor], name: str, kind: str, shape: tuple[int, ...], turned: bool) -> Tensor:
    """Large matrices are put together in bands of rows, so that not all of their planes are held."""
    form = FORMS[kind]
    count, width = shape
    place = name if turned else f"{name}.rows"
    wanted = ["high", "low"] if turned and form.levels[1] == "8" else ["levels"]
    wanted += [plane for part in (form.scale, form.minimum) if part for plane, _ in part.planes]
    planes = {plane: stored[f"{place}.{plane}"] for plane in wanted}
    if any(t.shape[1 if turned else 0] != count for t in planes.values()):
        raise ValueError(f"planes of `{name}` have other shapes")
    step = max(2, _BAND // max(1, width) // 2 * 2)  # rows of 4-bit numbers begin at whole bytes
    if (turned and count % 2) or count <= step:
        return _joined(planes, name, kind, shape, turned)
    bands = []
    for first in range(0, count, step):
        rows = min(step, count - first)
        cut = {p: _columns(t, first, rows) if turned else part(t, first, first + rows) for p, t in planes.items()}
        bands.append(_joined(cut, name, kind, (rows, width), turned))
    return joined(bands, shape)


def _columns(tensor: Tensor, first: int, count: int) -> Tensor:
    numbers, whole = tensor.shape
    line, taken, begin = (n * tensor.dtype.bits // 8 for n in (whole, count, first))
    return arrange(tensor, (numbers, count), [(numbers, line), (taken, 1)], begin)


def _joined(planes: Mapping[str, Tensor], name: str, kind: str, shape: tuple[int, ...], turned: bool) -> Tensor:
    blocks, (count, width) = BLOCKS[kind], shape
    params: dict[str, Any] = {
        "inputs": list(planes),
        "dtypes": [t.dtype.name for t in planes.values()],
        "shapes": [list(t.shape) for t in planes.values()],
        "shape": [count, width // blocks.elements * blocks.bytes],
        "to": kind,
        "turned": turned,
    }
    return Tensor(name, DTYPES["f32"], shape, Derived("blocks", tuple(planes.values()), params), blocks)
