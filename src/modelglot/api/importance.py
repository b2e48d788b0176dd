"""Importance matrices: how much each column of a matrix matters, measured on text by llama.cpp's imatrix tool."""

from __future__ import annotations

import os
from array import array

from modelglot.api.opening import OpenModel, open
from modelglot.api.reading import PathLike
from modelglot.containers import imatrix_dat
from modelglot.core.errors import InvalidFileError
from modelglot.sources.file import FileSource

_SUMS, _COUNTS = ".in_sum2", ".counts"


def load_imatrix(path: PathLike) -> dict[str, bytes]:
    """float32 weights (little-endian bytes) by tensor name, from ``imatrix.gguf`` or ``imatrix.dat``.

    Raises InvalidFileError where a weight is not finite or the file holds none.
    """
    text = os.fspath(path)
    with FileSource(text) as source:
        is_gguf = source.size >= 4 and source.pread(0, 4) == b"GGUF"
        found = None if is_gguf else imatrix_dat.read(source)
    if found is None:
        with open(text, format="gguf") as model:
            found = _from_gguf(model)
    if not found:
        raise InvalidFileError("holds no importance matrix", path=text)
    for name, values in found.items():
        if any(v - v != 0 for v in values):
            raise InvalidFileError("a weight is not finite", path=text, tensor=name)
    return {name: array("f", values).tobytes() for name, values in found.items()}


def _from_gguf(model: OpenModel) -> dict[str, list[float]]:
    """Sums of squares and counts a matrix (and expert); columns never seen weigh 1."""
    found: dict[str, list[float]] = {}
    for key, handle in model.tensors.items():
        if not key.endswith(_SUMS):
            continue
        name = key.removesuffix(_SUMS)
        counts = array("f", bytes(model.tensors[name + _COUNTS].bytes()))
        sums = array("f", bytes(handle.bytes()))
        columns = len(sums) // max(1, len(counts))
        found[name] = [
            value / counts[i // columns] if counts[i // columns] > 0 else 1.0 for i, value in enumerate(sums)
        ]
    return found
