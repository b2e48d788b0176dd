"""A Core ML model or package as a `Model`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from modelglot.containers import strict_json
from modelglot.containers.protobuf import Field
from modelglot.containers.protobuf_file import message
from modelglot.core.errors import InvalidFileError, located, printable
from modelglot.core.format import FileSet
from modelglot.core.graph import Graph, Signature, counted
from modelglot.core.layer import agreed
from modelglot.core.limits import Limits
from modelglot.core.metadata import Entry, Metadata
from modelglot.core.model import Model
from modelglot.core.notes import Note
from modelglot.formats.coreml.description import Description, description
from modelglot.formats.coreml.names import MODELS
from modelglot.formats.coreml.network import Gathered, Network
from modelglot.formats.coreml.operators import with_kernel
from modelglot.formats.coreml.program import Program
from modelglot.formats.coreml.weights import Reader

MANIFEST = "Manifest.json"
_NETWORKS, _PIPELINES, _PROGRAM = (303, 403, 500), (200, 201, 202), 502
_TOOLS = "com.github.apple.coremltools."
_ABOUT = frozenset(["coreml.specification_version", f"{_TOOLS}source", f"{_TOOLS}version"])


@dataclass(slots=True)
class Walk:
    network: Network
    program: Program
    limits: Limits
    kinds: list[str] = field(default_factory=list)
    version: int = 0
    about: Description = field(default_factory=Description)

    def model(self, parts: Any, prefix: str, depth: int) -> None:
        """A ``Model`` message, also one inside a pipeline."""
        for part in parts:
            number = part.number
            if number == 1 and depth == 0:
                self.version = part.number_value
            elif number == 2 and depth == 0:
                self.about = description(part, self.limits)
            elif number in _NETWORKS:
                self.kinds.append(MODELS[number])
                self.network.walk(part, prefix, 0)
            elif number == _PROGRAM:
                self.kinds.append(MODELS[number])
                self.program.walk(part, prefix)
            elif number in _PIPELINES:
                self.kinds.append(MODELS[number])
                inner = part if number == 202 else next((p for p in part.fields() if p.number == 1), None)
                if inner is not None:
                    self._pipeline(inner, prefix, depth + 1)
            elif number in MODELS:
                self.kinds.append(MODELS[number])

    def _pipeline(self, whole: Field, prefix: str, depth: int) -> None:
        self.limits.check("depth", depth, "pipelines inside pipelines", offset=whole.at)
        parts = list(whole.fields())
        names = [part.text for part in parts if part.number == 2]
        for index, part in enumerate(p for p in parts if p.number == 1):
            name = names[index] if index < len(names) and names[index] else str(index)
            self.model(part.fields(), f"{prefix}{name}.", depth)


def read(files: FileSet, limits: Limits) -> Model:
    name = _main(files, limits)
    source = files.open(name)
    number = files.index(name, "primary")
    found = Gathered()
    folder = name.rpartition("/")[0] + "/" if "/" in name else ""
    program = Program(files, limits, number, folder, found)
    walk = Walk(Network(Reader(limits, number), found), program, limits)
    with located(path=source.path):
        walk.model(message(source, limits), "", 0)
        if not walk.kinds:
            raise InvalidFileError("there is no model of a known kind in this file", hint="is it whole?")
    said = agreed(program.said)
    tensors = {
        n: replace(t, extra={**t.extra, **with_kernel(said[n], len(t.shape))}) if n in said else t
        for n, t in found.tensors.items()
    }
    about = walk.about
    graph = Graph(
        "Core ML " + ", ".join(dict.fromkeys(walk.kinds)),
        (Signature("main", about.inputs, about.outputs),),
        counted(found.operators),
        tuple(found.functions),
        about=_ABOUT,
    )
    metadata = _metadata(walk, found)
    return Model("coreml", files.refs(), tensors, walk.kinds[0], metadata, notes=tuple(_notes(walk)), graph=graph)


def _main(files: FileSet, limits: Limits) -> str:
    """The model file: the one given, or what the manifest of the package names."""
    if files.primary is not None and files.primary != MANIFEST:
        return files.primary
    with located(path=files.root, member=MANIFEST):
        source = files.open(MANIFEST)
        limits.check("index", source.size, "the manifest")
        manifest = strict_json.loads(source.pread(0, source.size), what="the manifest")
        items = manifest.get("itemInfoEntries") if isinstance(manifest, dict) else None
        identifier = manifest.get("rootModelIdentifier") if isinstance(manifest, dict) else None
        root = items.get(identifier) if isinstance(items, dict) and isinstance(identifier, str) else None
        path = root.get("path") if isinstance(root, dict) else None
        if not isinstance(path, str):
            raise InvalidFileError("the manifest names no model")
    return f"Data/{path}"


def _metadata(walk: Walk, found: Gathered) -> Metadata:
    entries: dict[str, Entry | str] = {"coreml.specification_version": Entry(walk.version, "i64")}
    entries |= {f"coreml.{key}": value for key, value in walk.about.texts.items()}
    entries |= walk.about.own
    quantized = {n: _quantization(t.extra) for n, t in found.tensors.items() if "coreml:bits" in t.extra}
    if quantized:
        entries["coreml.quantization"] = Entry(quantized, "json")
    return Metadata(entries)


def _quantization(extra: Any) -> dict[str, Any]:
    keys = ("bits", "scale", "bias", "table")
    found = {key: extra[f"coreml:{key}"] for key in keys if f"coreml:{key}" in extra}
    return {key: list(value) if isinstance(value, tuple) else value for key, value in found.items()}


def _notes(walk: Walk) -> Iterator[Note]:
    others = [k for k in walk.kinds if not k.startswith(("neuralNetwork", "mlProgram", "pipeline"))]
    if others:
        kinds = ", ".join(dict.fromkeys(others))
        yield Note("no-weights", f"the model has parts that are not networks ({kinds}): their numbers are not read")
    custom = sorted(walk.network.found.custom)
    if custom:
        names = ", ".join(printable(c.removeprefix("custom."), code=True) for c in custom[:6])
        yield Note("custom-layers", f"layers of the application's own: {names}; what they compute is not in the file")
    quantized = sum("coreml:bits" in t.extra for t in walk.network.found.tensors.values())
    if quantized:
        text = f"{quantized:,} tensors are quantized: they stay integers, scales and tables are in the metadata"
        yield Note("quantized", text)
