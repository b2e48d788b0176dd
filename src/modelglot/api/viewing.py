"""view(): one open model, asked piece by piece for what a page shows of it. Each answer is plain data."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cached_property
from multiprocessing import get_context
from threading import Lock
from typing import TYPE_CHECKING, Any

from modelglot.api.folders import folder_of
from modelglot.api.inspecting import inspect
from modelglot.api.measuring import compare_tensors
from modelglot.api.reading import PathLike
from modelglot.api.scanning import scan
from modelglot.core.errors import ModelFileError, UnsupportedError, located, printable
from modelglot.core.limits import Limits
from modelglot.core.model import ties
from modelglot.core.tensor import Tensor
from modelglot.core.urls import public
from modelglot.engine.pool import SourcePool
from modelglot.engine.stream import read as read_bytes
from modelglot.engine.values import has_numbers, numbers
from modelglot.engine.window import Line, obstacle, window
from modelglot.families.tokenizer.folder import Folder
from modelglot.families.tokenizer.specials import chat_templates
from modelglot.features.inspect.report import InspectReport
from modelglot.features.stats.tensors import measure
from modelglot.features.view import columns, histogram, metadata, spectrum, vocabulary
from modelglot.formats.onnx.frame import of_file
from modelglot.graphs.skeleton import skeleton
from modelglot.passes.recipes.file_types import file_type_name
from modelglot.sources.opening import open_files

if TYPE_CHECKING:
    import numpy as np

    Floats = np.ndarray[Any, Any]

_BAND = 4 << 20  # elements of a matrix that are held at once
_PIECE = 512 << 10  # bytes: statistics make several arrays of float64 of each piece


class View:
    """A file or folder that is looked at. Headers are read once; values when they are asked for, and not kept.

    Names of tensors and keys are those that the documents show. Raises the errors of `open`.
    """

    def __init__(self, path: PathLike, *, limits: Limits | None = None) -> None:
        self.path, self.limits = os.fspath(path), limits or Limits()
        self.report: InspectReport = inspect(self.path, limits=self.limits)
        self.model = self.report.model
        self._pool = SourcePool(self.model.files)
        self._busy = Lock()  # one long reading at a time: the disk is one, and so is the memory

    def summary(self) -> dict[str, Any]:
        """`inspect`'s document without its list of tensors."""
        document = self.report.document()
        del document["tensors"]
        kind = self.model.metadata.get("general.file_type") if self.model.format == "gguf" else None
        document["quantization"] = file_type_name(kind)
        document["has"] = {"tokens": self._has_tokens(), "templates": len(self.templates()["templates"])}
        return document

    def scan(self) -> dict[str, Any]:
        return scan(self.path, limits=self.limits).document()

    def tensors(self) -> dict[str, Any]:
        return columns.columns(self.model.tensors)

    def with_numbers(self) -> list[Tensor]:
        """Tensors whose values can be asked for, in the order of the file."""
        return [t for t in self.model.tensors.values() if has_numbers(t)]

    def tensor(self, name: str) -> dict[str, Any]:
        tensor = self._tensor(name)
        return columns.facts(tensor, self._ties.get(tensor.name, ()))

    def stats(self, name: str) -> dict[str, Any]:
        """`stats` of one tensor and a histogram with bins of one width; reads it twice."""
        tensor = self._numeric(name)
        with self._busy, located(tensor=name):
            found = measure(tensor.name, tensor.type_name, numbers(tensor, self._pool, _PIECE))
            bins = None
            if None not in (found.minimum, found.maximum, found.mean, found.std):
                low, high = histogram.bounds(found.minimum, found.maximum, found.mean, found.std)  # type: ignore[arg-type]
                bins = histogram.histogram(numbers(tensor, self._pool, _PIECE), low, high)
        return {"statistics": found.document(), "histogram": bins}

    def window(self, name: str, rows: Line, cols: Line, at: Sequence[int]) -> Floats:
        """Float32 of shape (rows.length, cols.length). Raises ValueError for indexes that are outside."""
        return window(self._tensor(name), self._pool, rows, cols, at)

    def spectrum(self, name: str) -> dict[str, Any]:
        """Singular values, all of them or the largest; `exact` says which."""
        tensor = self._numeric(name)
        shape = spectrum.sides(tensor.shape)
        if obstacle(tensor) is not None or min(shape) * 80 > _BAND * 8 or shape[1] > _BAND:
            raise UnsupportedError("the matrix is too large for its singular values", tensor=name)
        with self._busy:
            values, exact = spectrum.spectrum(lambda: self._bands(tensor, shape[1]), shape)
        note = None if exact else f"the {len(values)} largest of {min(shape):,}, approximately"
        return {"values": values, "exact": exact, "shape": list(shape), "note": note}

    def metadata(self, key: str, start: int = 0, count: int = 200, search: str = "") -> dict[str, Any]:
        found = self._keys.get(key)
        if found is None:
            raise UnsupportedError(f"there is no key {printable(key, code=True)}", path=self.path)
        return metadata.value_of(self.model.metadata, found, start, count, search)

    def templates(self) -> dict[str, Any]:
        found = vocabulary.templates(self.model.metadata, "metadata")
        if not found:
            made = _or(lambda: chat_templates(self._folder), {})
            found = vocabulary.templates({key: entry.value for key, entry in made.items()}, "files of the folder")
        return {"templates": found}

    def tokens(self, start: int = 0, count: int = 200, search: str = "") -> dict[str, Any]:
        found = vocabulary.of_metadata(self.model.metadata) or vocabulary.of_folder(self._folder)
        if found is None:
            raise UnsupportedError("no tokenizer is here", path=self.path)
        return found.document(start, count, search)

    def against(self, other: View) -> dict[str, Any]:
        """What ``other`` has, lacks and holds otherwise, by names, types and shapes; no value is read."""
        return {"left": public(self.path), "right": public(other.path)} | columns.changes(
            self.model.tensors, other.model.tensors
        )

    def error_of(self, other: View, name: str) -> dict[str, Any]:
        """How far the values of one tensor are from those of ``other``."""
        left, right = self._numeric(name), other._numeric(name)
        if left.shape != right.shape:
            raise UnsupportedError("the shapes differ", tensor=name)
        with self._busy:
            found = compare_tensors(left, right, (self._pool, other._pool))
        return found.document() | {"equal": found.rmse == 0}

    def graph_without_weights(self) -> bytes:
        """An ONNX file whose tensors of more than 4 KB are said to lie elsewhere."""
        files = open_files(self.path)
        with located(path=self.path):
            return skeleton(of_file(files, self.limits), lambda tensor: read_bytes(tensor, self._pool))

    def close(self) -> None:
        self._pool.close()

    def _has_tokens(self) -> bool:
        if vocabulary.PREFIX + "tokens" in self.model.metadata:
            return True
        return any(name in self._folder.names for name in ("tokenizer.json", "tokenizer.model", "vocab.txt"))

    @cached_property
    def _folder(self) -> Folder:
        return folder_of(self.model, self.path, self.limits)

    @cached_property
    def _ties(self) -> dict[str, tuple[str, ...]]:
        return {name: names for names in ties(self.model.tensors) for name in names}

    @cached_property
    def _keys(self) -> dict[str, str]:
        return {columns.shown(key): key for key in self.model.metadata}

    @cached_property
    def _names(self) -> dict[str, Tensor]:
        return {columns.shown(name): tensor for name, tensor in self.model.tensors.items()}

    def _tensor(self, name: str) -> Tensor:
        if name not in self._names:
            raise UnsupportedError(f"there is no tensor {printable(name, code=True)}", path=self.path)
        return self._names[name]

    def _numeric(self, name: str) -> Tensor:
        tensor = self._tensor(name)
        if not has_numbers(tensor):
            raise UnsupportedError(obstacle(tensor) or "these are no numbers", tensor=name)
        return tensor

    def _bands(self, tensor: Tensor, width: int) -> Iterator[Floats]:
        """Whole rows of the matrix, as many at a time as `_BAND` holds."""
        import numpy as np

        left: Floats = np.empty(0, np.float32)
        for piece in numbers(tensor, self._pool):
            joined = np.concatenate([left, np.nan_to_num(piece)]) if len(left) else np.nan_to_num(piece)
            whole = len(joined) // width * width
            if whole:
                yield joined[:whole].reshape(-1, width)
            left = joined[whole:]


def spectrum_apart(path: str, name: str, limits: Limits) -> dict[str, Any]:
    """`View.spectrum` in a process of its own, whose memory is given back: a server stays small."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        found: dict[str, Any] = pool.submit(_spectrum, path, name, limits).result()
    return found


def _spectrum(path: str, name: str, limits: Limits) -> dict[str, Any]:
    return View(path, limits=limits).spectrum(name)


def _or(make: Callable[[], Any], otherwise: Any) -> Any:
    """What a damaged file beside the weights has to say is nothing."""
    try:
        return make()
    except ModelFileError:
        return otherwise
