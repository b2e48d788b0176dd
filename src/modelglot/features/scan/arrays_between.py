"""Arrays that joblib writes between two opcodes: how many bytes lie there, so that the reading goes on after them.

Source: joblib's documented layout of `NumpyArrayWrapper`: padding (its length in one byte, where the wrapper states an
alignment), then the elements; an array of objects is a pickle of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from modelglot.containers.pickle.window import Window
from modelglot.core.tree import Inert, Node

WRAPPER = "joblib.numpy_pickle.NumpyArrayWrapper"


def array_bytes(wrapper: Inert, window: Window, at: int, objects: Callable[[int], int]) -> int:
    """Bytes between the BUILD of a wrapper and the next opcode; ``objects`` reads the pickle of an object array.

    0 where the wrapper does not say: what follows is then read as opcodes, and breaks.
    """
    state = wrapper.attributes()
    if state is None:
        return 0
    shape, dtype = state.get("shape"), state.get("dtype")
    if not isinstance(shape, Node) or not all(isinstance(n, int) and n >= 0 for n in shape.items):
        return 0
    width = _width(dtype)
    if width is None:
        return objects(at) - at
    padding = 0
    if state.get("numpy_array_alignment_bytes") is not None and at < window.length:
        padding = 1 + window.read(at, 1)[0]
    count: int = math.prod(shape.items)
    return padding + width * count


def _width(dtype: Any) -> int | None:
    """Bytes of an element, None for objects."""
    if not isinstance(dtype, Inert) or not dtype.args or not isinstance(dtype.args[0], str):
        return None
    code = dtype.args[0].lstrip("<>=|")
    state = dtype.state
    fields = state.items if isinstance(state, Node) and state.kind == "tuple" else []
    if code[:1] == "O" or (len(fields) > 7 and isinstance(fields[7], int) and fields[7] & 1):  # some field is objects
        return None
    record: Any = fields[5] if len(fields) > 5 and fields[3] is not None else None
    if isinstance(record, int) and record >= 0:
        return record
    digits = code[1:]
    return int(digits) * (4 if code[0] == "U" else 1) if digits.isdigit() and len(digits) < 10 else 1
