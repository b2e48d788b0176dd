"""Graphs run on random inputs, by request: what one runtime gives beside what another gives.

This is the only place where a model runs. The file is given to ONNX Runtime, which checks it; the other side is a
program that was written here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from modelglot.core.errors import MissingExtraError, UnsupportedError, printable

TOLERANCE = 1e-4  # of a difference; on the way to ONNX it grows with outputs above 1
_BATCH = 2
_TRIES = (16, 32, 64, 128, 256, 512, 1, 2, 3)  # sizes for the axes that the graph leaves open
_HIGHEST = (8, 2, 1)  # integers are drawn below, since they may be indices
_NUMPY = {
    "tensor(float)": "float32", "tensor(double)": "float64", "tensor(float16)": "float16", "tensor(int64)": "int64",
    "tensor(int32)": "int32", "tensor(int8)": "int8", "tensor(uint8)": "uint8", "tensor(bool)": "bool",
}  # fmt: skip
Run = Callable[[Mapping[str, Any]], list[Any]]


@dataclass(frozen=True, slots=True)
class Comparison:
    """``inputs`` are their shapes; ``outputs`` the largest absolute difference of each, NaN and infinities apart."""

    inputs: dict[str, tuple[int, ...]]
    outputs: dict[str, float]

    @property
    def worst(self) -> float:
        return max(self.outputs.values(), default=0.0)

    @property
    def close(self) -> bool:
        """True where no element differs by more than `TOLERANCE`."""
        return self.worst <= TOLERANCE


def session(path: str, *, exact: bool = False) -> Any:
    """A file loaded by ONNX Runtime. ``exact``: on one thread, so that it gives the same each time, and without its
    optimizer, which may compute what it fuses in fewer bits.

    Raises MissingExtraError, and UnsupportedError with what it refuses.
    """
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise MissingExtraError("comparing graphs needs `onnxruntime`", hint="pip install onnxruntime") from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    if exact:
        options.intra_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its classes are its own and change
        raise UnsupportedError(f"ONNX Runtime does not load the graph: {said(error)}") from None


def said(error: Exception) -> str:
    """Its words, on one line."""
    return printable(str(error).replace("\n", " "), limit=400)


def random_inputs(
    of: Any, sizes: Mapping[str, int], fixed: Mapping[str, float], seed: int = 0
) -> Iterator[dict[str, Any]]:
    """Inputs for a session, one set after the other until one fits. ``sizes`` are of axes by the input and their
    number: ``x.0``; ``fixed`` are values of whole inputs.

    The first open axis of an input is a batch of 2; an axis has the same size wherever its name is.
    """
    import numpy as np

    for highest in _HIGHEST:
        for size in _TRIES:
            random, known, made = np.random.default_rng(seed), _named(of, sizes), {}
            for port in of.get_inputs():
                if port.type not in _NUMPY:
                    raise UnsupportedError(f"no random values for an input of type {printable(port.type, code=True)}")
                axes = enumerate(port.shape)
                shape = [sizes.get(f"{port.name}.{n}") or _size(axis, n, known, size) for n, axis in axes]
                made[port.name] = _values(random, shape, _NUMPY[port.type], highest)
                if port.name in fixed:
                    made[port.name] = np.full_like(made[port.name], fixed[port.name])
            yield made


def _named(of: Any, sizes: Mapping[str, int]) -> dict[str, int]:
    """Sizes of axes that have a name, wherever it is."""
    axes = ((axis, f"{port.name}.{n}") for port in of.get_inputs() for n, axis in enumerate(port.shape))
    return {axis: sizes[place] for axis, place in axes if isinstance(axis, str) and place in sizes}


def _size(axis: Any, number: int, known: dict[str, int], size: int) -> int:
    if isinstance(axis, int) and axis > 0:
        return axis
    return known.setdefault(str(axis), _BATCH if number == 0 else size) if axis else _BATCH if number == 0 else size


def _values(random: Any, shape: list[int], dtype: str, highest: int) -> Any:
    if "float" in dtype:
        return random.standard_normal(shape).astype(dtype)
    return random.integers(0, 2 if dtype == "bool" else highest, shape).astype(dtype)


def compare(path: str, other: Run, sizes: Mapping[str, int], fixed: Mapping[str, float]) -> Comparison:
    """A file in ONNX Runtime beside ``other``. Raises UnsupportedError where no random inputs fit the graph."""
    of = session(path, exact=True)
    names = [port.name for port in of.get_outputs()]
    why = ""
    for inputs in random_inputs(of, sizes, fixed):
        try:
            wanted = of.run(None, inputs)
        except Exception as error:  # its exceptions have no common type
            why = why or str(error)
            continue
        found = other(inputs)
        pairs = zip(names, found, wanted, strict=True)
        return Comparison({n: v.shape for n, v in inputs.items()}, {n: _apart(a, b) for n, a, b in pairs})
    raise UnsupportedError(
        "no random inputs were found that this graph takes",
        detail=printable(why, limit=300),
        hint="name the sizes of its open axes",
    )


def _apart(found: Any, wanted: Any) -> float:
    """Infinity where shapes, or places that are no numbers, differ."""
    import numpy as np

    one, other = np.asarray(found), np.asarray(wanted)
    if one.shape != other.shape:
        return float("inf")
    one, other = one.astype(np.float64), other.astype(np.float64)
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    far = np.where(same, 0.0, np.abs(one - other))
    return float("inf") if np.isnan(far).any() else float(far.max(initial=0.0))
