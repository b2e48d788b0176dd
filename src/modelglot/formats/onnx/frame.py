"""An ONNX file around its tensors: what is kept byte for byte, and holes where tensors are put.

`of_file` takes it from a file, `of_graph` makes one of a graph without its weights, `of_tensors` one with nothing but
initializers. A frame is a tree, since the
length of every message that has a hole inside is written again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from modelglot.containers.protobuf import Field
from modelglot.containers.protobuf_write import delimited, integer
from modelglot.core.errors import located
from modelglot.core.format import FileSet
from modelglot.core.limits import Limits
from modelglot.core.tensor import Stored, Tensor
from modelglot.formats.onnx import types
from modelglot.formats.onnx.model import CONTAINER, MARK, walked
from modelglot.formats.onnx.tensors import DATA, DIMS, KIND, NAME
from modelglot.formats.onnx.walk import GRAPH, GRAPH_NAME, INITIALIZER, Place

_OPSET = 17  # goes with IR version 8; no operator of it is used
Bytes = Callable[[int, int], bytes]  # offset and length in the file


@dataclass(frozen=True, slots=True)
class Hole:
    """A ``TensorProto``: ``fields`` are (number, the whole field as stored), None for elements that lie in a file.

    ``number`` is the field it is in its message; ``initializer``: it is one of a graph, not the value of an attribute;
    ``outside``: its elements lie in another file.
    """

    tensor: Tensor
    number: int
    fields: tuple[tuple[int, bytes | None], ...]
    initializer: bool = True
    outside: bool = False


@dataclass(frozen=True, slots=True)
class Around:
    """A message with holes: ``head`` is its key and length as they are stored, ``length`` what that says."""

    number: int
    head: bytes
    length: int
    parts: tuple[Part, ...]


Part = bytes | Hole | Around


@dataclass(frozen=True, slots=True)
class Frame:
    parts: tuple[Part, ...]

    def holes(self) -> Iterator[Hole]:
        stack = list(self.parts[::-1])
        while stack:
            part = stack.pop()
            if isinstance(part, Hole):
                yield part
            elif isinstance(part, Around):
                stack += part.parts[::-1]


def of_file(files: FileSet, limits: Limits) -> Frame:
    """Reads all that is no tensor. Raises LimitError where that is more than a header may have."""
    walk, _ = walked(files, limits)
    source = files.open(files.refs()[walk.reader.number].name)
    places = sorted(walk.places.values(), key=lambda place: place.span.begin)
    rest = source.size - sum(place.span.length for place in places)
    with located(path=source.path):
        limits.check("header", rest, "the graph without its tensors")
        return Frame(tuple(_parts(source.pread, places, 0, source.size, 0, walk.reader.number)))


def _parts(read: Bytes, places: list[Place], begin: int, end: int, level: int, file: int) -> Iterator[Part]:
    """The bytes from ``begin`` to ``end``, cut at the messages of that level which are or have tensors."""

    def outer(place: Place) -> Field:
        return place.around[level] if level < len(place.around) else place.span

    at = begin
    for _, group in groupby(places, key=lambda place: outer(place).begin):
        inside = list(group)
        message = outer(inside[0])
        start, stop = message.at, message.at + message.length
        if message.begin > at:
            yield read(at, message.begin - at)
        if message is inside[0].span:
            yield _hole(read, inside[0], file)
        else:
            parts = tuple(_parts(read, inside, start, stop, level + 1, file))
            yield Around(message.number, read(message.begin, start - message.begin), message.length, parts)
        at = stop
    if end > at:
        yield read(at, end - at)


def _hole(read: Bytes, place: Place, file: int) -> Hole:
    """Elements are kept with their field only where they are few and no run of bytes in the file."""
    tensor, span = place.tensor, place.span
    parts = list(span.fields())
    stops = [*(part.begin for part in parts[1:]), span.at + span.length]
    stored = isinstance(tensor.data, Stored)
    fields = []
    for part, stop in zip(parts, stops, strict=True):
        left = part.number in DATA and (stored or not isinstance(part.value, (int, memoryview)))
        fields.append((part.number, None if left else read(part.begin, stop - part.begin)))
    outside = isinstance(tensor.data, Stored) and any(extent.file != file for extent in tensor.data.extents)
    return Hole(tensor, span.number, tuple(fields), place.initializer, outside)


def of_tensors(tensors: Iterable[Tensor], texts: dict[str, str]) -> Frame:
    """A model whose graph has initializers and nothing else, and says so. The graph comes last: a file that was cut
    off ends inside it."""
    kept = list(tensors)
    properties = {MARK: CONTAINER, **texts}
    head = [
        integer(1, types.ir_version({t.dtype.name for t in kept})),
        delimited(2, "modelglot"),
        delimited(6, CONTAINER),
        delimited(8, integer(2, _OPSET)),
        *(delimited(14, delimited(1, key) + delimited(2, value)) for key, value in properties.items()),
    ]
    return of_graph(b"".join(head), delimited(GRAPH_NAME, "tensors"), kept)


def of_graph(about: bytes, graph: bytes, tensors: Iterable[Tensor]) -> Frame:
    """A frame around ``tensors``, which become the initializers of the main graph under their own names.

    ``about`` are the fields of a ``ModelProto`` without ``graph``, ``graph`` those of the ``GraphProto`` without
    ``initializer``. The dtypes must be ones that ONNX has (`types.NUMBERS`).
    """
    holes = tuple(Hole(t, INITIALIZER, _fields(t)) for t in tensors)
    return Frame((about, Around(GRAPH, b"", -1, (graph, *holes))))


def _fields(tensor: Tensor) -> tuple[tuple[int, bytes | None], ...]:
    dims = b"".join(integer(DIMS, size) for size in tensor.shape)
    kind = integer(KIND, types.NUMBERS[tensor.dtype.name])
    return ((DIMS, dims), (KIND, kind), (NAME, delimited(NAME, tensor.name)), (types.RAW, None))
