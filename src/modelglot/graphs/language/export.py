"""A GGUF model as a graph: the nodes, the tensors that the engine moves, and a record that leads back to the GGUF."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from modelglot.core.errors import UnsupportedError, printable
from modelglot.core.model import Model
from modelglot.core.tensor import Tensor
from modelglot.families.family import Config
from modelglot.graphs.language import encoder
from modelglot.graphs.language.decoder import Decoder
from modelglot.graphs.language.linear import LEFT, Weights
from modelglot.graphs.language.net import Net
from modelglot.graphs.language.shape import Shape, shape_of

Read = Callable[[Tensor], "bytes | bytearray"]
RECORD, REST = "modelglot.gguf", "modelglot.gguf.left"  # keys of the metadata
_MOST_LEFT = 1 << 20  # bytes of tensors that no node uses


class Exported(NamedTuple):
    graph: Any  # an `onnx_ir.Model`
    tensors: Mapping[str, Tensor]
    properties: Mapping[str, str]
    shape: Shape


def export(model: Model, config: Config, texts: Mapping[str, str], read: Read) -> Exported:
    """``model`` has llama.cpp's names and values, ``config`` the keys of its config.json, ``texts`` its metadata.

    ``read`` gives the bytes of a small tensor. Raises UnsupportedError for a family without a graph.
    """
    arch = str(model.metadata.get("general.architecture"))
    if not model.tensors:
        raise UnsupportedError("there are no weights to make a graph of", hint="a vocabulary alone computes nothing")
    factors = {n: _floats(read(t)) for n, t in model.tensors.items() if n.startswith("rope_")}
    shape = shape_of(arch, config, factors)
    net = Net()
    weights = Weights(net, dict(model.tensors))
    if arch == "bert":
        encoder.build(net, shape, weights)
    else:
        Decoder(net, shape, weights).build()
    left = [t for n, t in model.tensors.items() if n not in weights.stored]
    record = [[t.name, t.type_name, list(t.shape), weights.stored.get(t.name, LEFT)] for t in model.tensors.values()]
    props = {**texts, RECORD: json.dumps(record, separators=(",", ":"))}
    if left:
        props[REST] = _inside(left, read)
    return Exported(net.model(str(model.metadata.get("general.name") or arch)), net.tensors, props, shape)


def _floats(data: bytes | bytearray) -> list[float]:
    return [float(v) for v in memoryview(data).cast("f")]


def _inside(tensors: list[Tensor], read: Read) -> str:
    """Small tensors that the graph has computed with, such as rotary factors, as text."""
    size = sum(t.nbytes for t in tensors)
    if size > _MOST_LEFT:
        names = ", ".join(printable(t.name, code=True) for t in tensors[:4])
        raise UnsupportedError(
            f"{len(tensors):,} tensors have no place in the graph: {names}", hint="leave them out with `--exclude`"
        )
    return json.dumps({t.name: base64.b64encode(bytes(read(t))).decode() for t in tensors}, separators=(",", ":"))
