"""What a person wants of a graph that is exported."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wishes:
    """``inputs`` as ``--input`` has them; ``entry`` and ``arguments`` name a model in Python; ``python`` is another
    interpreter, for the frameworks. ``check`` None: what is usual for the target."""

    inputs: tuple[str, ...] = ()
    check: bool | None = None
    allow_code: bool = False
    entry: str | None = None
    arguments: str | None = None
    python: str | None = None
