"""A ``TensorProto`` as a lazy tensor: where its elements lie, in the file or in one beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modelglot.containers.protobuf import VARINT, Field, varints
from modelglot.containers.protobuf_data import fixed, numbers
from modelglot.core.dtype import DType
from modelglot.core.encoding import nbytes, plain_encoding
from modelglot.core.errors import (
    CannotOpenError,
    DamagedFileError,
    InvalidFileError,
    UnsafeContentError,
    UnsupportedError,
    printable,
)
from modelglot.core.format import FileSet
from modelglot.core.limits import Limits
from modelglot.core.tensor import Data, Extent, Inline, Missing, Stored, Tensor
from modelglot.formats.onnx.types import DOUBLES, ELEMENTS, FLOATS, INTS32, INTS64, RAW, STRING, STRINGS, UINTS64
from modelglot.formats.onnx.types import data_field as field_of

DIMS, KIND, SEGMENT, NAME, EXTERNAL, LOCATION = 1, 2, 3, 8, 13, 14
DATA = (FLOATS, INTS32, STRINGS, INTS64, RAW, DOUBLES, UINTS64)


@dataclass(slots=True)
class Proto:
    """The fields of a ``TensorProto`` that say what it is; ``data`` are those with elements, of one number."""

    name: str = ""
    kind: int = 0
    dims: list[int] = field(default_factory=list)
    data: list[Field] = field(default_factory=list)
    external: dict[str, str] | None = None
    at: int = 0

    @property
    def is_text(self) -> bool:
        return self.kind == STRING


def parse(whole: Field) -> Proto:
    """Raises InvalidFileError where elements are given in two ways, UnsupportedError for segments."""
    made, entries, outside = Proto(at=whole.at), dict[str, str](), False
    for part in whole.fields():
        number = part.number
        if number == DIMS:
            made.dims += [part.signed] if part.wire == VARINT else map(int, varints(part.bytes, part.at))
        elif number == KIND:
            made.kind = part.number_value
        elif number == NAME:
            made.name = part.text
        elif number in DATA:
            made.data.append(part)
        elif number == EXTERNAL:
            key, value = pair(part)
            entries[key] = value
        elif number == LOCATION:
            outside = part.number_value == 1
        elif number == SEGMENT:
            raise UnsupportedError("a tensor in segments, which no writer makes", offset=whole.at)
    if len(made.data) > 1 and len({part.number for part in made.data}) > 1:
        raise InvalidFileError("has its elements in more than one field", offset=whole.at)
    if outside:
        made.external = entries
    return made


def pair(entry: Field) -> tuple[str, str]:
    """A ``StringStringEntryProto``."""
    texts = {part.number: part.text for part in entry.fields() if part.number in (1, 2)}
    return texts.get(1, ""), texts.get(2, "")


@dataclass(slots=True)
class Reader:
    """What a tensor needs of its surroundings: ``number`` is the model file's among the files. Of ``damaged`` files
    external data may end after its file."""

    files: FileSet
    limits: Limits
    number: int
    damaged: bool = False

    def tensor(self, name: str, proto: Proto, extra: Mapping[str, Any]) -> Tensor:
        dtype = ELEMENTS.get(proto.kind)
        if dtype is None:
            raise InvalidFileError(f"element type {proto.kind} is unknown", offset=proto.at)
        shape = tuple(proto.dims)
        self.limits.check("depth", len(shape), "axes of a tensor", offset=proto.at)
        if any(size < 0 or size >> 62 for size in shape):
            raise InvalidFileError(f"the shape {printable(str(list(shape)))} is not a list of sizes", offset=proto.at)
        encoding = plain_encoding(dtype)
        need = nbytes(dtype, encoding, shape)
        data = self._external(proto.external, need) if proto.external is not None else self._data(proto, dtype, need)
        return Tensor(name, dtype, shape, data, encoding, extra)

    def _data(self, proto: Proto, dtype: DType, need: int) -> Data:
        if not proto.data:
            return Inline(b"") if not need else Missing("the file has no data for it")
        number = proto.data[0].number
        if number not in (RAW, field_of(dtype)):
            raise InvalidFileError(f"`{dtype}` elements in field {number}", offset=proto.at)
        if number == RAW:
            return fixed(
                proto.data[-1:], need, self.number, self.limits
            )  # the last of a field that is there once counts
        if number in (FLOATS, DOUBLES):
            return fixed(proto.data, need, self.number, self.limits)
        if dtype.bits == 6:
            raise UnsupportedError(f"`{dtype}` elements one by one", offset=proto.at, hint="store them as raw data")
        return numbers(proto.data, need, max(dtype.itemsize, 1), self.number, self.limits)

    def _external(self, entries: dict[str, str], need: int) -> Data:
        location = entries.get("location", "").removeprefix("./")
        offset, length = _natural(entries, "offset", 0), _natural(entries, "length", need)
        if length != need:
            raise InvalidFileError(f"has {length:,} bytes of external data, and its type and shape need {need:,}")
        if not location:
            raise InvalidFileError("has external data without a location")
        try:
            source = self.files.open(location)
        except CannotOpenError:
            return Missing(f"the file {printable(location, code=True)} with its data is not there")
        except UnsafeContentError as error:
            raise UnsafeContentError(
                f"its external data {error.what}", path=error.path, member=error.member, hint="do not trust this file"
            ) from None
        if offset + length > source.size and not self.damaged:
            raise DamagedFileError(
                f"its external data ends {offset + length - source.size:,} bytes after the end of the file",
                path=source.path,
                offset=offset,
                detail=f"needs bytes {offset:,}-{offset + length:,}; the file has {source.size:,}",
                hint="the download may be incomplete",
            )
        return Stored((Extent(self.files.index(location), offset, length),))


def _natural(entries: dict[str, str], key: str, default: int) -> int:
    text = entries.get(key)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise InvalidFileError(f"the {key} of external data is {printable(text, code=True)}, not a number")
    return int(text)
