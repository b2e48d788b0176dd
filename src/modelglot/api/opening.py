"""open(): a path as a lazy model whose tensors can be asked for their values."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from modelglot.api.reading import PathLike, read_model
from modelglot.core.limits import Limits
from modelglot.core.metadata import Metadata
from modelglot.core.model import Model
from modelglot.core.tensor import Tensor
from modelglot.engine.pool import SourcePool
from modelglot.engine.stream import read as read_bytes

if TYPE_CHECKING:
    import numpy as np


def open(path: PathLike, *, format: str | None = None, limits: Limits | None = None) -> OpenModel:
    """Read the headers of a file or folder; no tensor byte is read and nothing from the file is run.

    ``format`` overrules detection. Raises CannotOpenError, UnknownFormatError, DamagedFileError, InvalidFileError,
    UnsafeContentError, LimitError; each names the path and, where there is one, the offset.
    """
    return OpenModel(read_model(os.fspath(path), format=format, limits=limits))


class TensorHandle:
    """A tensor of an open model. Attributes describe; `numpy` and `torch` read."""

    __slots__ = ("_pool", "tensor")

    def __init__(self, tensor: Tensor, pool: SourcePool) -> None:
        self.tensor = tensor
        self._pool = pool

    @property
    def name(self) -> str:
        return self.tensor.name

    @property
    def dtype(self) -> str:
        """``bf16``, ``f32``; for quantized blocks the block type, such as ``q4_k``."""
        return self.tensor.type_name

    @property
    def shape(self) -> tuple[int, ...]:
        return self.tensor.shape

    @property
    def nbytes(self) -> int:
        return self.tensor.nbytes

    def bytes(self) -> bytearray:
        """Contiguous little-endian bytes in the stored encoding."""
        return read_bytes(self.tensor, self._pool)

    def numpy(self) -> np.ndarray[Any, Any]:
        """A new array of ``shape``; bf16, fp8 and sub-byte dtypes through ml_dtypes.

        Raises UnsupportedError for quantized blocks: ask for `bytes`.
        """
        from modelglot.api.frameworks import to_numpy

        return to_numpy(self.tensor, self.bytes())

    def torch(self) -> Any:
        """A new torch tensor. Raises MissingExtraError where torch is not installed."""
        from modelglot.api.frameworks import to_torch

        return to_torch(self.tensor, self.bytes())

    def __repr__(self) -> str:
        return f"<{self.name} {self.dtype} {list(self.shape)}>"


class _Handles(Mapping[str, TensorHandle]):
    def __init__(self, tensors: Mapping[str, Tensor], pool: SourcePool) -> None:
        self._tensors, self._pool = tensors, pool

    def __getitem__(self, name: str) -> TensorHandle:
        return TensorHandle(self._tensors[name], self._pool)

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


class OpenModel:
    """A model and the files behind it. Use as a context manager, or let it be collected."""

    def __init__(self, model: Model, pool: SourcePool | None = None) -> None:
        self.model = model
        self._pool = pool or SourcePool(model.files)

    @property
    def format(self) -> str:
        return self.model.format

    @property
    def tensors(self) -> Mapping[str, TensorHandle]:
        """Every tensor of the file by its full name, in stored order."""
        return _Handles(self.model.tensors, self._pool)

    @property
    def metadata(self) -> Metadata:
        return self.model.metadata

    @property
    def tree(self) -> Any:
        """Nested values of a checkpoint, held inert; None for flat formats."""
        return self.model.tree

    def close(self) -> None:
        self._pool.close()

    def __enter__(self) -> OpenModel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{self.format} model: {len(self.model.tensors):,} tensors, {self.model.parameters:,} parameters>"
