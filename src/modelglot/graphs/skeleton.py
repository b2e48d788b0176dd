"""The graph of an ONNX file in memory, without its weights.

Weights that are larger than `SMALL` become external tensors whose location is the name that the tensor has in the
`Model`: a graph of many gigabytes is held in a few megabytes, and shapes and other small constants have their values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from modelglot.containers.protobuf_write import delimited, head, integer
from modelglot.core.errors import InvalidFileError, printable
from modelglot.core.format import FileSet
from modelglot.core.limits import Limits
from modelglot.core.tensor import Missing, Tensor
from modelglot.formats.onnx.frame import Frame, Hole, Part, of_file
from modelglot.formats.onnx.tensors import DATA, DIMS, EXTERNAL, KIND, LOCATION
from modelglot.formats.onnx.types import NUMBERS, RAW
from modelglot.graphs.builder import onnx_ir, quiet

SMALL = 4096  # bytes
MARK = "modelglot.tensor"  # where a small tensor says the name that it has in the `Model`
_PROPERTIES = 16  # of a TensorProto
Read = Callable[[Tensor], "bytes | bytearray"]


def graph_of(files: FileSet, limits: Limits, read: Read) -> Any:
    """The `onnx_ir.Model` of a file; ``read`` gives the bytes of a small tensor.

    Raises the errors of reading ONNX, and MissingExtraError.
    """
    onnx_ir()
    import onnx
    from onnx_ir import serde

    raw = skeleton(of_file(files, limits), read, mark=True)
    try:
        with quiet():
            return serde.deserialize_model(onnx.load_from_string(raw))
    except Exception as error:  # those of two libraries, which have no common type
        why = printable(str(error).partition("\n")[0], limit=300)
        raise InvalidFileError("the graph of this file is not whole", detail=why) from error


def tensor_name(tensor: Any) -> str | None:
    """The name in the `Model` of a tensor of `graph_of`; None for one that was made since."""
    location = getattr(tensor, "location", None)
    found = location if location is not None else tensor.metadata_props.get(MARK)
    return None if found is None else str(found)


def skeleton(frame: Frame, read: Read, most: int = SMALL, *, mark: bool = False) -> bytes:
    """A frame as a ``ModelProto`` whose tensors of more than ``most`` bytes are external; ``mark``: the others say
    their names."""
    return b"".join(_part(part, read, most, mark) for part in frame.parts)


def _part(part: Part, read: Read, most: int, mark: bool) -> bytes:
    if isinstance(part, bytes):
        return part
    if isinstance(part, Hole):
        inside = _tensor(part, read, most, mark)
    else:
        inside = b"".join(_part(inner, read, most, mark) for inner in part.parts)
    return head(part.number, len(inside)) + inside


def _tensor(hole: Hole, read: Read, most: int, mark: bool) -> bytes:
    """A kind of element that we lack keeps the number it has."""
    tensor = hole.tensor
    skip = {*DATA, EXTERNAL, LOCATION, *((DIMS, KIND) if tensor.dtype.name in NUMBERS else ())}
    made = b"".join(data or b"" for number, data in hole.fields if number not in skip)
    if KIND in skip:
        made += b"".join(integer(DIMS, size) for size in tensor.shape) + integer(KIND, NUMBERS[tensor.dtype.name])
    if tensor.nbytes <= most and not isinstance(tensor.data, Missing):
        name = delimited(_PROPERTIES, delimited(1, MARK) + delimited(2, tensor.name)) if mark else b""
        return made + delimited(RAW, bytes(read(tensor))) + name
    place = delimited(1, "location") + delimited(2, tensor.name)
    return made + delimited(EXTERNAL, place) + integer(LOCATION, 1)
