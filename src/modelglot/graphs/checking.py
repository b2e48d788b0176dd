"""A graph that was written, run by ONNX Runtime and compared with what the source's own runtime gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelglot.core.errors import UnsupportedError, printable
from modelglot.graphs.inputs import Port
from modelglot.graphs.running import TOLERANCE, said

_NUMPY = {
    "f32": np.float32, "f64": np.float64, "f16": np.float16, "i64": np.int64, "i32": np.int32, "i16": np.int16,
    "i8": np.int8, "u8": np.uint8, "u16": np.uint16, "u32": np.uint32, "u64": np.uint64, "bool": np.bool_,
}  # fmt: skip
Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """The largest over all elements: ``absolute``, and ``relative`` to the largest value of that output."""

    output: str
    absolute: float
    relative: float


def random_inputs(ports: Mapping[str, Port], seed: int = 0) -> dict[str, Array]:
    """Values for each input; a named size is the same everywhere. Integers are 0 or 1, so that they may be indices;
    a mask is 1 everywhere, since runtimes differ where it leaves nothing."""
    rng, sizes = np.random.default_rng(seed), dict[str, int]()
    found: dict[str, Array] = {}
    for name, port in ports.items():
        if port.dtype not in _NUMPY:
            raise UnsupportedError(f"inputs of type `{port.dtype}` are not made")
        shape = [d if isinstance(d, int) else sizes.setdefault(d, 2 + len(sizes)) for d in port.dims]
        kind: Any = _NUMPY[port.dtype]
        whole = np.issubdtype(kind, np.integer) or kind is np.bool_
        whole_values = np.ones(shape) if "mask" in name.lower() else rng.integers(0, 2, shape)
        found[name] = (whole_values if whole else rng.standard_normal(shape)).astype(kind)
    return found


def outputs_of(session: Any, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """What ONNX Runtime makes of the inputs. Raises UnsupportedError with what it refuses."""
    known = {i.name for i in session.get_inputs()}
    try:
        values = session.run(None, {name: value for name, value in inputs.items() if name in known})
    except Exception as error:
        raise UnsupportedError(f"ONNX Runtime does not run the graph: {said(error)}") from None
    return {o.name: np.asarray(v) for o, v in zip(session.get_outputs(), values, strict=True)}


def compare(found: Mapping[str, Array], wanted: Sequence[Array], tolerance: float = TOLERANCE) -> Difference:
    """The largest difference. Raises UnsupportedError where one is above the tolerance, or shapes differ."""
    if len(found) != len(wanted):
        raise UnsupportedError(f"the graph has {len(found)} outputs, the source's runtime gives {len(wanted)}")
    worst = Difference("", 0.0, 0.0)
    for (name, value), target in zip(found.items(), wanted, strict=True):
        if value.shape != target.shape and value.size == target.size == 1:
            target = target.reshape(value.shape)
        if value.shape != target.shape:
            shapes = f"{list(value.shape)} where the source's runtime gives {list(target.shape)}"
            raise UnsupportedError(f"output {printable(name, code=True)} of the graph has the shape {shapes}")
        one = _difference(name, value, target)
        if not one.absolute <= tolerance * max(1.0, _largest(target)):
            shown = printable(name, code=True)
            raise UnsupportedError(
                f"output {shown} of the graph differs by {one.absolute:.3g} from the source's runtime",
                detail=f"relative to its largest value {one.relative:.3g}; the tolerance is {tolerance:g}",
                hint="nothing was published; `--no-check` writes it all the same",
            )
        worst = max(worst, one, key=lambda d: d.absolute)
    return worst


def _difference(name: str, value: Array, target: Array) -> Difference:
    if not value.size:
        return Difference(name, 0.0, 0.0)
    a, b = value.astype(np.float64), target.astype(np.float64)
    with np.errstate(invalid="ignore"):
        apart = np.abs(a - b)
    apart = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, apart)
    absolute = float("inf") if np.isnan(apart).any() else float(apart.max())
    return Difference(name, absolute, absolute / max(_largest(target), 1e-30) if absolute else 0.0)


def _largest(target: Array) -> float:
    finite = np.abs(target.astype(np.float64))
    finite = finite[np.isfinite(finite)]
    return float(finite.max()) if finite.size else 0.0
