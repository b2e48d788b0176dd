"""The compiled kernels: which library this processor can use, and calls into it.

The build (``hatch_build.py``) leaves one shared library an instruction set in ``_native/``. The best one that the
processor runs is loaded on first use. ``MODELGLOT_NATIVE`` forces ``baseline``, ``avx2`` or ``avx512``, or ``0`` for
none. Calls release the GIL. Where there is no library, callers use `modelglot.kernels.reference`.
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from modelglot.core.errors import UnsupportedError

FOLDER = Path(__file__).parent / "_native"
LEVELS = ("avx512", "avx2", "baseline")  # best first
ABI = 2
KINDS = {"f32": 0, "f16": 1, "bf16": 2}
CAST_KINDS = {**KINDS, "f64": 3, "f8_e4m3": 4, "f8_e5m2": 5, "f8_e4m3fnuz": 6, "f8_e5m2fnuz": 7}

_POINTER, _LONG = ctypes.c_void_p, ctypes.c_int64
_CAST = (_POINTER, ctypes.c_int, _LONG, _POINTER, ctypes.c_int)
_QUANTIZE = (_POINTER, ctypes.c_int, _POINTER, _LONG, _LONG, _POINTER)


@dataclass(frozen=True)
class Native:
    """A loaded library. ``level`` is its instruction set; ``grids`` keeps the tables it points to alive."""

    level: str
    handle: ctypes.CDLL
    grids: Any

    def function(self, name: str, result: Any, *arguments: Any) -> Any:
        """The C function ``mg_NAME``, or None."""
        found = getattr(self.handle, f"mg_{name}", None)
        if found is not None:
            found.restype, found.argtypes = result, arguments
        return found

    def quantizer(self, name: str, weighted: bool) -> Any:
        """(source, kind, target, elements, row, weights) -> how many elements are infinite or NaN; -1: no memory."""
        if weighted and (rows := self.function(f"weighted_{name}", _LONG, *_QUANTIZE)) is not None:
            return rows
        return self.function(f"quantize_{name}", _LONG, *_QUANTIZE)

    def dequantizer(self, name: str) -> Any:
        """(blocks, target, kind, elements)"""
        return self.function(f"dequantize_{name}", None, _POINTER, _POINTER, ctypes.c_int, _LONG)

    def caster(self) -> Any:
        """(source, kind, elements, target, kind, counts of NaN, infinite and too large numbers to add to)"""
        return self.function("cast", None, *_CAST, _POINTER)

    def caster_by_chance(self) -> Any:
        """(source, kind, elements, target, kind, key, index of the first, counts)"""
        return self.function("cast_by_chance", None, *_CAST, ctypes.c_uint64, ctypes.c_uint64, _POINTER)

    def unusual(self) -> Any:
        """(numbers, kind, elements) -> how many are infinite or NaN"""
        return self.function("unusual", _LONG, _POINTER, ctypes.c_int, _LONG)


@dataclass(frozen=True)
class Status:
    """What `status` found: the level in use or None, and in one sentence why."""

    level: str | None
    why: str


def library() -> Native | None:
    """The library in use, or None. Raises UnsupportedError where ``MODELGLOT_NATIVE`` asks for one that cannot be."""
    return _choose(os.environ.get("MODELGLOT_NATIVE", ""))[0]


def status() -> Status:
    """For ``modelglot doctor``: never raises."""
    try:
        native, why = _choose(os.environ.get("MODELGLOT_NATIVE", ""))
    except UnsupportedError as error:
        return Status(None, error.what)
    return Status(native.level if native else None, why)


@cache
def _choose(wish: str) -> tuple[Native | None, str]:
    if wish == "0":
        return None, "switched off by `MODELGLOT_NATIVE=0`"
    if wish and wish not in LEVELS:
        raise UnsupportedError(f"`MODELGLOT_NATIVE` is `{wish}`", hint=f"give one of 0, {', '.join(LEVELS)}")
    usable, why = _usable()
    for level in (wish,) if wish else LEVELS:
        if level in usable:
            native = _load(level)
            return native, f"compiled kernels for {level}"
    if wish:
        raise UnsupportedError(f"the kernels for `{wish}` cannot be used here", detail=why)
    return None, why


def _usable() -> tuple[list[str], str]:
    """Levels that were built and that this processor runs; and why there may be none."""
    path = FOLDER / "kernels_baseline.so"
    if not path.exists():
        return [], "no compiled kernels in this installation: it was built without a C++ compiler"
    try:
        baseline = ctypes.CDLL(str(path))
        if baseline.mg_abi() != ABI:
            return [], "the compiled kernels belong to another version; install again"
    except (OSError, AttributeError) as error:
        return [], f"the compiled kernels do not load: {error}"
    found = [v for v in LEVELS if (FOLDER / f"kernels_{v}.so").exists() and baseline.mg_supports(v.encode())]
    return found, f"usable: {', '.join(found)}"


_GRIDS = ("iq2_xxs", "iq2_xs", "iq2_s", "iq3_xxs", "iq3_s", "iq1_s")  # in the order of the C structure


class _Grids(ctypes.Structure):
    _fields_ = [(name, _POINTER) for name in (*_GRIDS, "signs")]


def _load(level: str) -> Native:
    from modelglot.kernels.reference.grids import SIGNS, grid

    handle = ctypes.CDLL(str(FOLDER / f"kernels_{level}.so"))
    arrays = [*(grid(name) for name in _GRIDS), SIGNS]
    handle.mg_set_grids.argtypes = (_POINTER,)
    handle.mg_set_grids.restype = None
    handle.mg_set_grids(ctypes.byref(_Grids(*(a.ctypes.data for a in arrays))))
    return Native(level, handle, arrays)
