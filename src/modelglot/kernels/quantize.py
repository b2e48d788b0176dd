"""The kernel ``quantize``: floats to GGML blocks, byte for byte what ggml's `ggml_quantize_chunk` gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from modelglot.core.encoding import BLOCKS
from modelglot.core.errors import InvalidFileError, UnsupportedError
from modelglot.kernels.native import KINDS, library

# Types with a quantizer: those that heed importances, and those that ignore them.
WEIGHTED = frozenset({
    "q4_0", "q4_1", "q5_0", "q5_1", "q2_k", "q3_k", "q4_k", "q5_k", "q6_k", "iq1_s", "iq1_m", "iq2_xxs", "iq2_xs",
    "iq2_s", "iq3_xxs", "iq3_s", "iq4_nl", "iq4_xs",
})  # fmt: skip
NEEDS_IMPORTANCES = frozenset({"iq1_s", "iq2_xxs", "iq2_xs"})  # ggml has no way without
TYPES = WEIGHTED | {"q8_0", "tq1_0", "tq2_0", "mxfp4", "nvfp4", "q1_0", "q2_0"}


def quantize(data: Any, params: Mapping[str, Any]) -> bytes | memoryview:
    """Little-endian floats as blocks of ``params['to']`` (or f16, bf16).

    ``from``: f32 (default), f16 or bf16, widened piece by piece. ``imatrix``: importances, the bytes of one f32 a
    column of a row; then ``row`` is the length of a row in elements (default: as many as there are importances) and
    ``data`` holds whole rows. Infinities and NaN raise UnsupportedError with their count: blocks cannot hold them.
    """
    source, to = str(params.get("from", "f32")), str(params["to"])
    if to in KINDS:
        from modelglot.kernels.cast import cast

        return cast(data, {"from": source, "to": to})
    if to not in TYPES:
        raise UnsupportedError(f"no quantizer for `{to}`", hint=f"there are {', '.join(sorted(TYPES))}")
    if source not in KINDS:
        raise UnsupportedError(f"cannot quantize from `{source}`", hint="cast to f32 first")
    block = BLOCKS[to]
    raw = np.frombuffer(data, np.uint8)
    size = 4 if source == "f32" else 2
    elements = raw.size // size
    if raw.size % size or elements % block.elements:
        raise InvalidFileError(f"{raw.size:,} bytes are no whole number of `{to}` blocks of {block.elements} elements")
    weights, row = importances(params, to, elements)
    if weights is None and to in NEEDS_IMPORTANCES:
        raise UnsupportedError(f"`{to}` needs importances", hint="give an importance matrix: `--imatrix FILE`")
    out = np.empty(elements // block.elements * block.bytes, np.uint8)
    native = library()
    if native is not None:
        run = native.quantizer(to, weights is not None)
        pointer = weights.ctypes.data if weights is not None else None
        bad = run(raw.ctypes.data, KINDS[source], out.ctypes.data, elements, row, pointer)
        if bad < 0:
            raise MemoryError
    else:
        from modelglot.kernels.reference.quantize import quantize_blocks, widened

        values = widened(raw, source)
        bad = int(np.count_nonzero(~np.isfinite(values)))
        if not bad:
            out[:] = quantize_blocks(to, values, weights, row).reshape(-1)
    if bad:
        raise UnsupportedError(
            f"{bad:,} of {elements:,} values are infinite or not a number: `{to}` blocks cannot hold them",
            hint="keep the tensor as floats, or mend the model",
        )
    return out.data


def importances(params: Mapping[str, Any], to: str, elements: int) -> tuple[np.ndarray[Any, Any] | None, int]:
    """The importances of one row (f32, non-negative) or None, and the length of a row."""
    given = params.get("imatrix")
    if given is None or to not in WEIGHTED:
        return None, int(params.get("row", elements))
    weights = np.frombuffer(given, "<f4").astype(np.float32)
    row = int(params.get("row", weights.size))
    if weights.size != row or row <= 0 or elements % row or row % BLOCKS[to].elements:
        raise InvalidFileError(f"{weights.size:,} importances for rows of {row:,} and {elements:,} elements of `{to}`")
    if not np.isfinite(weights).all() or weights.min() < 0:
        raise InvalidFileError("an importance is negative, infinite or not a number")
    return weights, row
