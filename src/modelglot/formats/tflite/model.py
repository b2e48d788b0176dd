"""A TensorFlow Lite file as a `Model`: the tensors that have a buffer, what its operators say of them, signatures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from modelglot.containers.flatbuffer import Buffer, Table
from modelglot.core.errors import InvalidFileError, ModelFileError, UnsupportedError, located, printable
from modelglot.core.format import FileSet
from modelglot.core.graph import Graph, Port, Signature, counted
from modelglot.core.layer import agreed
from modelglot.core.limits import Limits
from modelglot.core.metadata import Entry, Metadata
from modelglot.core.model import Model, SideFile
from modelglot.core.notes import Note
from modelglot.core.tensor import Extent, Tensor
from modelglot.formats.tflite.layers import Operator, described
from modelglot.formats.tflite.operators import CUSTOM, operator
from modelglot.formats.tflite.tensors import Storage, storage, tensor, texts, type_name

SUFFIX = ".tflite"
_VERSION, _CODES, _SUBGRAPHS, _DESCRIPTION, _METADATA, _SIGNATURES = 0, 1, 2, 3, 6, 7  # fields of Model
_RUNTIME = "min_runtime_version"
_ABOUT = frozenset(["tflite.version", "tflite.description", "tflite.min_runtime_version"])


@dataclass(slots=True)
class Walk:
    """What is gathered from all subgraphs. ``ports`` has one list a subgraph, by tensor."""

    store: Storage
    codes: list[str]
    tensors: dict[str, Tensor] = field(default_factory=dict)
    strings: dict[str, list[str]] = field(default_factory=dict)
    said: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    operators: Counter[str] = field(default_factory=Counter)
    ports: list[list[Port]] = field(default_factory=list)
    main: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
    names: dict[str, int] = field(default_factory=dict)  # given so far, and how often
    nodes: list[Operator] = field(default_factory=list)  # of the first subgraph, and of its tensors:
    shapes: list[tuple[int, ...]] = field(default_factory=list)
    weights: dict[int, str] = field(default_factory=dict)

    def subgraph(self, graph: Table, number: int) -> None:
        limits = self.store.buffer.limits
        prefix = f"{graph.text(4) or f'subgraph_{number}'}." if number else ""
        limits.check("tensors", len(self.names) + graph.count(0), "tensors", offset=graph.at)
        limits.check("tree_values", self.operators.total() + graph.count(3), "operators", offset=graph.at)
        ports, shapes, weights = [], [], dict[int, str]()
        for index, table in enumerate(graph.tables(0)):
            own = table.text(3)
            shapes.append(table.numbers(0, "i"))
            ports.append(Port(own, type_name(table.unsigned(1, 1)), _axes(table)))
            name = self._weight(prefix + (own or f"tensor_{index}"), table)
            if name is not None:
                weights[index] = name
        self.ports.append(ports)
        operators = list(self._operators(graph))
        if number == 0:
            self.main = graph.numbers(1, "i"), graph.numbers(2, "i")
            self.nodes, self.shapes, self.weights = operators, shapes, weights
        self.operators.update(op.name for op in operators)
        described(operators, weights, self.tensors, self.said)

    def _weight(self, name: str, table: Table) -> str | None:
        """The full name of a tensor that has data; others are places for values that come while it runs."""
        count = self.names[name] = self.names.get(name, 0) + 1
        name = f"{name}#{count}" if count > 1 else name
        try:
            data = self.store.of(table)
            if data is None:
                return None
            if type_name(table.unsigned(1, 1)) == "string":
                self.strings[name] = texts(table, data, self.store.buffer)
                return None
            self.tensors[name] = tensor(name, table, data)
        except ModelFileError as error:
            error.tensor = name
            raise
        return name

    def _operators(self, graph: Table) -> Iterator[Operator]:
        for table in graph.tables(3):
            code = table.unsigned(0)
            if code >= len(self.codes):
                raise InvalidFileError(f"operator code {code:,} of {len(self.codes):,}", offset=table.at)
            yield Operator(self.codes[code], table.numbers(1, "i"), table.numbers(2, "i"), table.table(4))


def read(files: FileSet, limits: Limits) -> Model:
    walk, root = walked(files, limits)
    extras = agreed(walk.said)
    tensors = {n: replace(t, extra={**t.extra, **extras.get(n, {})}) for n, t in walk.tensors.items()}
    with located(path=files.refs()[walk.store.number].path):
        sides = tuple(_sides(root, walk.store))
        graph = Graph("TensorFlow Lite", tuple(_signatures(root, walk)), counted(walk.operators), about=_ABOUT)
        metadata = _metadata(root, walk, sides)
    sides = tuple(side for side in sides if side.name != _RUNTIME)
    notes = tuple(_notes(tensors))
    return Model("tflite", files.refs(), tensors, None, metadata, sides=sides, notes=notes, graph=graph)


def walked(files: FileSet, limits: Limits) -> tuple[Walk, Table]:
    """All subgraphs of the file, and the table that they are in."""
    name = files.primary or _main(files)
    source = files.open(name)
    number = files.index(name, "primary")
    with located(path=source.path):
        buffer = Buffer(source, limits)
        root = buffer.root
        if root.unsigned(_VERSION) != 3:
            raise UnsupportedError(f"version {root.unsigned(_VERSION)} of TensorFlow Lite's schema; 3 is known")
        walk = Walk(storage(files, buffer, number, root), [_code(table) for table in root.tables(_CODES)])
        for index, graph in enumerate(root.tables(_SUBGRAPHS)):
            walk.subgraph(graph, index)
        if not walk.ports:
            raise InvalidFileError("there is no subgraph in this file")
    return walk, root


def _main(files: FileSet) -> str:
    names = [n for n in files.names() if n.lower().endswith(SUFFIX) and "/" not in n]
    if len(names) != 1:
        raise InvalidFileError(
            f"the folder holds {len(names)} .tflite files", path=files.root, hint="name one of the files",
            detail=", ".join(printable(n) for n in names[:6]),
        )  # fmt: skip
    return names[0]


def _code(table: Table) -> str:
    """Numbers from 127 on are in a field that older files do not have."""
    number = max(table.signed(0, 1), table.signed(3))
    return table.text(1) or "CUSTOM" if number == CUSTOM else operator(number)


def _axes(table: Table) -> tuple[int | None, ...] | None:
    """The shape, with the axes that the signature leaves open."""
    stated = table.numbers(7, "i") or table.numbers(0, "i")
    return tuple(None if size < 0 else size for size in stated)


def _signatures(root: Table, walk: Walk) -> Iterator[Signature]:
    found = False
    for table in root.tables(_SIGNATURES):
        found = True
        graph = table.unsigned(4)
        if graph >= len(walk.ports):
            raise InvalidFileError(f"subgraph {graph:,} of {len(walk.ports):,}", offset=table.at)
        yield Signature(table.text(2), *(tuple(_named(table, f, walk.ports[graph])) for f in (0, 1)))
    if not found:
        inputs, outputs = (tuple(_port(walk.ports[0], n) for n in numbers) for numbers in walk.main)
        yield Signature("main", inputs, outputs)


def _named(table: Table, field: int, ports: list[Port]) -> Iterator[Port]:
    """Inputs or outputs by the names that a signature gives them."""
    for entry in table.tables(field):
        yield _port(ports, entry.unsigned(1))._replace(name=entry.text(0))


def _port(ports: list[Port], number: int) -> Port:
    if not 0 <= number < len(ports):
        raise InvalidFileError(f"tensor {number:,} of {len(ports):,} as an input or output")
    return ports[number]


def _sides(root: Table, store: Storage) -> Iterator[SideFile]:
    """Named buffers that are no tensors."""
    for table in root.tables(_METADATA):
        index = table.unsigned(1)
        if index >= len(store.spans):
            raise InvalidFileError(f"buffer {index:,} of {len(store.spans):,}", offset=table.at)
        span = store.spans[index]
        yield SideFile(table.text(0), Extent(store.number, span.offset, span.length), "metadata of the model")


def _metadata(root: Table, walk: Walk, sides: tuple[SideFile, ...]) -> Metadata:
    entries: dict[str, Entry | str] = {"tflite.version": Entry(root.unsigned(_VERSION), "u32")}
    if root.text(_DESCRIPTION):
        entries["tflite.description"] = root.text(_DESCRIPTION)
    for side in sides:
        if side.name == _RUNTIME and side.extent and side.size <= 64:
            raw = walk.store.buffer.read(side.extent.offset, side.size)
            entries[f"tflite.{_RUNTIME}"] = str(raw.rstrip(b"\0"), "utf-8", "replace")
    scales = {n: _quantization(t.extra) for n, t in walk.tensors.items() if "tflite:scale" in t.extra}
    if scales:
        entries["tflite.quantization"] = Entry(scales, "json")
    entries |= {f"tflite.strings.{name}": Entry(values, "array[str]") for name, values in walk.strings.items()}
    return Metadata(entries)


def _quantization(extra: Any) -> dict[str, Any]:
    entry = {"scale": list(extra["tflite:scale"]), "zero_point": list(extra["tflite:zero-point"])}
    return entry | ({"axis": extra["tflite:axis"]} if "tflite:axis" in extra else {})


def _notes(tensors: dict[str, Tensor]) -> Iterator[Note]:
    quantized = sum("tflite:scale" in t.extra for t in tensors.values())
    if quantized:
        text = f"{quantized:,} tensors are quantized: they stay integers, scales and zero points are in the metadata"
        yield Note("quantized", text)
    sparse = sum(t.encoding.name == "tflite-sparse" for t in tensors.values())
    if sparse:
        yield Note("sparse", f"{sparse:,} sparse tensors are carried as the bytes they are stored in", "warning")
