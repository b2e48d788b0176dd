"""modelglot: read, show, verify and convert deep-learning model files. See `modelglot.api` for the functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = [
    "__version__", "check", "compare", "convert", "diff", "digest", "inspect", "inspect_many", "load", "open", "pack",
    "quantize", "save", "scan", "stats", "verify",
]  # fmt: skip

if TYPE_CHECKING:
    from modelglot.api import (
        check,
        compare,
        convert,
        diff,
        digest,
        inspect,
        inspect_many,
        load,
        open,
        pack,
        quantize,
        save,
        scan,
        stats,
        verify,
    )


def __getattr__(name: str) -> Any:
    if name in __all__:
        from importlib import import_module

        return getattr(import_module("modelglot.api"), name)
    raise AttributeError(f"module `modelglot` has no attribute `{name}`")


def __dir__() -> list[str]:
    return __all__
