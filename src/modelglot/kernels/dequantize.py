"""The kernel ``dequantize``: GGML blocks to floats, equal to ggml's `dequantize_row_*` bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from modelglot.core.encoding import BLOCKS
from modelglot.core.errors import InvalidFileError, UnsupportedError
from modelglot.kernels.arrays import Buffer
from modelglot.kernels.cast import Seen, cast
from modelglot.kernels.native import KINDS, library


def dequantize(
    data: Any, params: Mapping[str, Any], first: int = 0, seen: Seen | None = None, buffer: Buffer | None = None
) -> bytes | memoryview:
    """Blocks of ``params['from']`` as little-endian ``params['to']``: f32 (default), or f16, bf16 rounded.

    ``seen`` is told how many are NaN or infinite, and how many became so by rounding. The result may
    lie in ``buffer``.
    """
    name, to = str(params["from"]), str(params.get("to", "f32"))
    if name not in BLOCKS:
        raise UnsupportedError(f"no blocks called `{name}`")
    if to not in KINDS:
        raise UnsupportedError(f"cannot dequantize to `{to}`", hint="f32, f16 and bf16 can be had")
    block = BLOCKS[name]
    raw = np.frombuffer(data, np.uint8)
    if raw.size % block.bytes:
        raise InvalidFileError(f"{raw.size:,} bytes are no whole number of `{name}` blocks of {block.bytes} bytes")
    elements = raw.size // block.bytes * block.elements
    native = library()
    run = native.dequantizer(name) if native is not None else None
    if run is not None:
        out = (buffer or Buffer()).take(elements * (4 if to == "f32" else 2))
        run(raw.ctypes.data, out.ctypes.data, KINDS[to], elements)
        if seen is not None and native is not None and native.unusual()(out.ctypes.data, KINDS[to], elements):
            _count(data, name, to, seen)
        return out.data
    from modelglot.kernels.reference.dequantize import dequantize_blocks

    values = dequantize_blocks(name, raw.reshape(-1, block.bytes)).reshape(-1)
    if to == "f32" and seen is None:
        return values.view(np.uint8).data
    made = cast(values.view(np.uint8), {"from": "f32", "to": to}, first, seen)
    return values.view(np.uint8).data if to == "f32" else made


def _count(data: Any, name: str, to: str, seen: Seen) -> None:
    """The slow and exact way, for the few chunks that need it."""
    wide = dequantize(data, {"from": name, "to": "f32"})
    cast(wide, {"from": "f32", "to": to}, 0, seen)
