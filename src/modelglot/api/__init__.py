"""What programs call: one function a verb. Everything is lazy and nothing from a file is ever run."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelglot.api.checking import check
    from modelglot.api.comparing import diff, digest
    from modelglot.api.converting import convert, make_plan
    from modelglot.api.inspecting import inspect
    from modelglot.api.inspecting_many import inspect_many
    from modelglot.api.loading import load
    from modelglot.api.measuring import compare, stats
    from modelglot.api.opening import OpenModel, TensorHandle, open
    from modelglot.api.packing import make_pack_plan, pack
    from modelglot.api.quantizing import make_quantize_plan, quantize
    from modelglot.api.saving import save
    from modelglot.api.scanning import scan
    from modelglot.api.verifying import verify

__all__ = [
    "OpenModel", "TensorHandle", "check", "compare", "convert", "diff", "digest", "inspect", "inspect_many", "load",
    "make_pack_plan", "make_plan", "make_quantize_plan", "open", "pack", "quantize", "save", "scan", "stats",
    "verify",
]  # fmt: skip

_WHERE = {
    "pack": "packing", "make_pack_plan": "packing",
    "check": "checking",
    "OpenModel": "opening", "TensorHandle": "opening", "convert": "converting", "diff": "comparing",
    "compare": "measuring", "stats": "measuring", "quantize": "quantizing", "make_quantize_plan": "quantizing",
    "digest": "comparing", "inspect": "inspecting", "inspect_many": "inspecting_many",
    "load": "loading", "make_plan": "converting", "open": "opening",
    "save": "saving", "scan": "scanning", "verify": "verifying",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(f"modelglot.api.{_WHERE[name]}"), name)
    raise AttributeError(f"module `modelglot.api` has no attribute `{name}`")
