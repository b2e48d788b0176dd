"""An ONNX file as a `Model`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from modelglot.containers.protobuf import Field
from modelglot.containers.protobuf_file import message
from modelglot.containers.salvage import CUT
from modelglot.core.errors import DamagedFileError, InvalidFileError, located, printable
from modelglot.core.format import FileSet
from modelglot.core.graph import Graph, Signature, counted
from modelglot.core.layer import KIND, LAYER
from modelglot.core.limits import Limits
from modelglot.core.metadata import Entry, Metadata
from modelglot.core.model import Model
from modelglot.core.notes import Note
from modelglot.core.tensor import Tensor
from modelglot.formats.onnx.layers import described, is_anonymous
from modelglot.formats.onnx.ports import port, port_name
from modelglot.formats.onnx.tensors import Reader, pair
from modelglot.formats.onnx.walk import Walk

SUFFIX = ".onnx"
CONTAINER = "tensors only: this graph computes nothing"  # what is written without a graph says so, under this key
MARK = "modelglot.container"
_TEXTS = {2: "producer_name", 3: "producer_version", 4: "domain", 6: "doc_string"}
_NUMBERS = {1: "ir_version", 5: "model_version"}
_OPSET, _PROPERTY = 8, 14
_ABOUT = frozenset(f"onnx.{name}" for name in (*_NUMBERS.values(), *_TEXTS.values(), "opset_import"))


@dataclass(slots=True)
class About:
    """What a file says of itself beside its graphs."""

    entries: dict[str, Entry] = field(default_factory=dict)
    opsets: dict[str, int] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)


def read(files: FileSet, limits: Limits, *, damaged: bool = False) -> Model:
    """Of a ``damaged`` file what comes before the damage; its tensors may reach beyond their files."""
    walk, about = walked(files, limits, damaged=damaged)
    tensors = {name: place.tensor for name, place in walk.places.items()}
    extras = described(walk.nodes, tensors)
    tensors = {n: replace(t, extra={**t.extra, **extras[n]}) if n in extras else t for n, t in tensors.items()}
    container = not walk.nodes and about.properties.pop(MARK, None) is not None
    cut = any(note.code == CUT for note in walk.notes)
    with located(path=files.refs()[walk.reader.number].path):
        graph = None if container or cut else _graph(walk, tensors, limits)
    return Model(
        "onnx",
        files.refs(),
        tensors,
        "tensors only" if container else None,
        _metadata(about, walk.texts, container),
        notes=(*walk.notes, *_notes(about, walk), *_unnamed(tensors)),
        graph=graph,
    )


def walked(files: FileSet, limits: Limits, *, damaged: bool = False) -> tuple[Walk, About]:
    """The graphs of the file, and what its own fields say."""
    name = files.primary or _main(files)
    source = files.open(name)
    walk, about = Walk(Reader(files, limits, files.index(name, "primary"), damaged)), About()
    with located(path=source.path):
        broken = ""
        try:
            for part in walk.model(message(source, limits, damaged=damaged)):
                _say(part, about)
        except (DamagedFileError, InvalidFileError) as error:
            if not damaged:
                raise
            broken = error.what
        if broken or walk.reach > source.size:
            walk.notes.append(_cut_note(walk, broken or "it ends inside of the graph"))
        if not walk.graphs:
            raise InvalidFileError("there is no graph in this file", hint="is it an ONNX file, and whole?")
    return walk, about


def _cut_note(walk: Walk, why: str) -> Note:
    """Tensors that come after the damage are named where nodes use them, like the inputs of the model."""
    names = walk.unmade()
    shown = ", ".join(printable(n, code=True) for n in names[:20]) + f" and {len(names) - 20:,} more" * (
        len(names) > 20
    )
    taken = f"; what its nodes take and is not there: {shown} (inputs of the model are among them)" * bool(names)
    return Note(CUT, f"the file is not whole ({why}), what follows is lost, and so is the graph{taken}")


def _main(files: FileSet) -> str:
    """The file that stands for a folder: `model.onnx`, or the only one there is."""
    names = [n for n in files.names() if n.lower().endswith(SUFFIX) and "/" not in n]
    if "model.onnx" in names:
        return "model.onnx"
    if len(names) != 1:
        raise InvalidFileError(
            f"the folder holds {len(names)} .onnx files",
            path=files.root,
            detail=", ".join(printable(n) for n in names[:6]),
            hint="name one of the files",
        )
    return names[0]


def _say(part: Field, about: About) -> None:
    number = part.number
    if number in _NUMBERS:
        about.entries[f"onnx.{_NUMBERS[number]}"] = Entry(part.signed, "i64")
    elif number in _TEXTS:
        if part.length:
            about.entries[f"onnx.{_TEXTS[number]}"] = Entry(part.text)
    elif number == _OPSET:
        items = {item.number: item for item in part.fields() if item.number in (1, 2)}
        about.opsets[items[1].text if 1 in items else ""] = items[2].signed if 2 in items else 0
    elif number == _PROPERTY:
        key, value = pair(part)
        about.properties[key] = value


def _metadata(about: About, texts: Mapping[str, list[str]], container: bool) -> Metadata:
    """A file's own properties under their names, its fields as ``onnx.*``, string tensors as ``onnx.strings.*``."""
    entries: dict[str, Entry | str] = {}
    if not container:  # there the fields are this program's own
        entries |= about.entries
        if about.opsets:
            entries["onnx.opset_import"] = Entry(about.opsets, "json")
    entries |= about.properties
    entries |= {f"onnx.strings.{name}": Entry(values, "array[str]") for name, values in texts.items()}
    return Metadata(entries)


def _graph(walk: Walk, tensors: Mapping[str, Tensor], limits: Limits) -> Graph:
    inputs = [i for i in walk.inputs if port_name(i) not in tensors]  # IR 3 lists the weights among the inputs
    signature = Signature("main", tuple(port(i, limits) for i in inputs), tuple(port(o, limits) for o in walk.outputs))
    return Graph("ONNX", (signature,), counted(walk.operators), tuple(walk.functions), about=_ABOUT)


def _unnamed(tensors: Mapping[str, Tensor]) -> Iterator[Note]:
    """Exporters number a weight that they changed: a transposed one, or a batch norm fused into a convolution."""
    numbered = [n for n, t in tensors.items() if is_anonymous(n) and t.extra.get(KIND) is not None]
    if numbered:
        convolutions = sum("conv" in str(tensors[name].extra[KIND]) for name in numbered)
        fused = f"; {convolutions:,} are of convolutions, into which batch norms may be fused" * bool(convolutions)
        known = sum(LAYER in tensors[name].extra for name in numbered)
        hint = f"; `--layout` names {known:,} by their layer" * bool(known)
        text = f"{len(numbered):,} weights have a number for a name, such as {printable(numbered[0], code=True)}"
        yield Note("numbered", text + fused + hint)


def _notes(about: About, walk: Walk) -> Iterator[Note]:
    if not about.opsets and walk.nodes and not any(note.code == CUT for note in walk.notes):
        yield Note("no-opset", "no operator set is named: the end of the file may be missing", "warning")
    sparse = [name for name, place in walk.places.items() if "onnx:sparse" in place.tensor.extra]
    if sparse:
        yield Note("sparse", f"{len(sparse) // 2:,} sparse tensors are shown as their values and indices")
    external = {walk.reader.files.refs()[i].name for i in walk.outside}
    if external:
        names = ", ".join(printable(name, code=True) for name in sorted(external)[:4])
        yield Note("external-data", f"weights lie in {names}" + " ..." * (len(external) > 4))
