"""Names of frameworks that checkpoints hold: classes that are made and filled, functions that only make values.

The lists are text beside this module, a line a module: `module: Name Name ...`. Gathered from what the frameworks'
own code writes. What a class runs when it is made and filled, and what a function does when it is called, was looked
through before it was added: nothing here opens a file, runs code or imports by a name.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

_HERE = Path(__file__).parent


def _names(file: str) -> Iterator[str]:
    for line in (_HERE / file).read_text("utf-8").splitlines():
        module, _, names = line.partition(":")
        if names.strip() and not line.startswith("#"):
            yield from (f"{module}.{name}" for name in names.split())


@cache
def classes() -> frozenset[str]:
    """Classes that may be made, given a state, and named."""
    return frozenset(_names("classes.txt"))


@cache
def functions() -> frozenset[str]:
    """Functions and classes that may be called, and named."""
    return frozenset(_names("functions.txt"))
