"""An OpenVINO model (structure in XML, weights in a file beside) as a `Model`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from modelglot.containers.xml_tree import Element, parse
from modelglot.core.dtype import DTYPES
from modelglot.core.encoding import Encoding, Opaque, nbytes, plain_encoding
from modelglot.core.errors import CannotOpenError, DamagedFileError, InvalidFileError, located, printable
from modelglot.core.format import FileSet, Source
from modelglot.core.graph import Graph, Port, Signature, counted
from modelglot.core.layer import agreed
from modelglot.core.limits import Limits
from modelglot.core.metadata import Entry, Metadata
from modelglot.core.model import Model
from modelglot.core.tensor import Data, Extent, Missing, Stored, Tensor
from modelglot.formats.openvino.layers import Node, described

_TYPES = {"boolean": "bool", "f8e4m3": "f8_e4m3", "f8e5m2": "f8_e5m2", "f8e8m0": "f8_e8m0", "f4e2m1": "f4_e2m1",
          "FP32": "f32", "FP16": "f16", "I32": "i32", "I64": "i64", "I8": "i8", "U8": "u8"}  # fmt: skip
_KEPT = ("u1", "u2", "u3", "u6", "nf4", "string")  # carried as the bytes they are stored in
_BODIES = ("body", "then_body", "else_body")
_CONSTANTS = ("Const", "Constant")


@dataclass(slots=True)
class Walk:
    """What is gathered from the graph and the graphs inside. ``weights`` is None where the file is not there."""

    limits: Limits
    weights: Source | None
    number: int
    tensors: dict[str, Tensor] = field(default_factory=dict)
    again: dict[str, int] = field(default_factory=dict)
    said: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    operators: Counter[str] = field(default_factory=Counter)

    def graph(self, net: Element, prefix: str) -> None:
        nodes: dict[str, Node] = {}
        constants: dict[str, Tensor] = {}
        for layer in (layer for group in net.all("layers") for layer in group.all("layer")):
            identity, kind, name = layer.get("id"), layer.get("type"), layer.get("name")
            data = layer.first("data")
            nodes[identity] = Node(kind, data.attributes if data else {})
            if kind in _CONSTANTS and data is not None and "offset" in data.attributes:
                constants[identity] = self._constant(prefix + (name or f"layer_{identity}"), data.attributes)
            else:
                self.operators[kind] += kind not in ("Parameter", "Result", *_CONSTANTS)
            self._blobs(layer, prefix + name)
            for tag in _BODIES:
                for body in layer.all(tag):
                    self.graph(body, f"{prefix}{name}.{tag}.")
        for edge in (edge for group in net.all("edges") for edge in group.all("edge")):
            node, port = nodes.get(edge.get("to-layer")), edge.get("to-port")
            if node is not None and port.isascii() and port.isdigit() and len(port) < 9:
                node.inputs[int(port)] = edge.get("from-layer")
        described(nodes, constants, self.said)

    def _constant(self, name: str, attributes: Mapping[str, str]) -> Tensor:
        name = self._free(name)
        with located(tensor=name):
            shape = _shape(attributes.get("shape", ""))
            kind = _TYPES.get(attributes.get("element_type", ""), attributes.get("element_type", ""))
            offset, size = _natural(attributes, "offset"), _natural(attributes, "size")
            encoding: Encoding
            if kind in _KEPT:
                dtype, encoding = DTYPES["opaque"], Opaque(f"openvino-{kind}", size)
            elif kind in DTYPES:
                dtype = DTYPES[kind]
                encoding = plain_encoding(dtype)
            else:
                raise InvalidFileError(f"element type {printable(kind, code=True)} is unknown")
            need = nbytes(dtype, encoding, shape)
            if need != size:
                raise InvalidFileError(f"has {size:,} bytes, and {kind} {list(shape)} needs {need:,}")
            made = self.tensors[name] = Tensor(name, dtype, shape, self._data(offset, size), encoding)
        return made

    def _blobs(self, layer: Element, name: str) -> None:
        """Weights of models before version 10: a run of numbers a layer and role."""
        for blob in (blob for group in layer.all("blobs") for blob in group.children):
            full = self._free(f"{name}.{blob.tag}")
            with located(tensor=full):
                kind = _TYPES.get(blob.get("precision") or layer.get("precision", "FP32"))
                if kind is None:
                    raise InvalidFileError(f"precision {printable(layer.get('precision'), code=True)} is unknown")
                offset, size = _natural(blob.attributes, "offset"), _natural(blob.attributes, "size")
                count, rest = divmod(size, DTYPES[kind].itemsize)
                if rest:
                    raise InvalidFileError(f"{size:,} bytes are no {kind}")
                self.tensors[full] = Tensor(full, DTYPES[kind], (count,), self._data(offset, size))

    def _data(self, offset: int, size: int) -> Data:
        if self.weights is None:
            return Missing("the .bin file with its data is not there")
        if offset + size > self.weights.size:
            raise DamagedFileError(
                f"its data ends {offset + size - self.weights.size:,} bytes after the end of the file",
                path=self.weights.path, offset=offset, hint="the download may be incomplete",
            )  # fmt: skip
        return Stored((Extent(self.number, offset, size),))

    def _free(self, name: str) -> str:
        self.limits.check("name", len(name), "the name of a tensor")
        self.limits.check("tensors", len(self.tensors) + 1, "tensors")
        count = self.again[name] = self.again.get(name, 0) + 1
        return name if count == 1 else f"{name}#{count}"


def read(files: FileSet, limits: Limits) -> Model:
    structure, weights = _names(files)
    source = files.open(structure)
    number = files.index(structure, "primary")
    with located(path=source.path):
        limits.check("header", source.size, "the structure")
        net = parse(source.pread(0, source.size), limits, frozenset({"rt_info"}))
        if net.tag != "net":
            raise InvalidFileError(f"the XML is a {printable(net.tag, code=True)}, not the structure of a model")
        try:
            walk = Walk(limits, files.open(weights), files.index(weights))
        except CannotOpenError:
            walk = Walk(limits, None, number)
        walk.graph(net, "")
        said = agreed(walk.said)
        tensors = {n: replace(t, extra=said[n]) if n in said else t for n, t in walk.tensors.items()}
        about = frozenset(["openvino.version", "openvino.name", "openvino.about"])
        graph = Graph("OpenVINO", (_signature(net),), counted(walk.operators), about=about)
    return Model("openvino", files.refs(), tensors, None, _metadata(net), graph=graph)


def _names(files: FileSet) -> tuple[str, str]:
    """The structure and its weights: files of one name."""
    name = files.primary
    if name is None:
        pairs = [n for n in files.names() if n.endswith(".xml") and f"{n[:-4]}.bin" in files.names() and "/" not in n]
        if len(pairs) != 1:
            raise InvalidFileError(
                f"the folder holds {len(pairs)} pairs of .xml and .bin", path=files.root, hint="name one of the files"
            )
        name = pairs[0]
    stem = name.rpartition(".")[0] or name
    return (f"{stem}.xml", name) if name.lower().endswith(".bin") else (name, f"{stem}.bin")


def _signature(net: Element) -> Signature:
    layers = [layer for group in net.all("layers") for layer in group.all("layer")]
    inputs = tuple(_port(layer, "output") for layer in layers if layer.get("type") in ("Parameter", "Input"))
    outputs = tuple(_port(layer, "input") for layer in layers if layer.get("type") == "Result")
    return Signature("main", inputs, outputs)


def _port(layer: Element, side: str) -> Port:
    """The layer's first port of that side; OpenVINO writes -1 for an axis that is open."""
    ports = layer.first(side)
    port = ports.first("port") if ports else None
    kind = port.get("precision") if port else ""
    axes = tuple(_axis(dim.text) for dim in port.all("dim")) if port else None
    return Port(layer.get("name"), _TYPES.get(kind, kind.lower() or "unknown"), axes)


def _axis(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def _shape(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    if len(parts) > 64 or not all(p.isascii() and p.isdigit() and len(p) < 20 for p in parts):
        raise InvalidFileError(f"the shape {printable(text, code=True)} is not a list of sizes")
    return tuple(map(int, parts))


def _natural(attributes: Mapping[str, str], name: str) -> int:
    text = attributes.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise InvalidFileError(f"the {name} is {printable(text, code=True)}, not a number")
    return int(text)


def _metadata(net: Element) -> Metadata:
    entries: dict[str, Entry | str] = {"openvino.version": net.get("version")}
    if net.get("name"):
        entries["openvino.name"] = net.get("name")
    about = {key: value for group in (*net.all("rt_info"), *net.all("meta_data")) for key, value in _values(group, "")}
    if about:
        entries["openvino.about"] = Entry(about, "json")
    return Metadata(entries)


def _values(element: Element, path: str) -> Iterator[tuple[str, str]]:
    """Values below an element by the way to them; `parse` has bounded the depth."""
    for child in element.children:
        here = f"{path}.{child.get('name') or child.tag}".lstrip(".")
        if "value" in child.attributes:
            yield here, child.get("value")
        yield from _values(child, here)
