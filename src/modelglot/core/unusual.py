"""Numbers that a cast cannot keep, counted."""

from __future__ import annotations

from typing import NamedTuple


class Unusual(NamedTuple):
    """``nan`` and ``infinite`` are in the source; ``too_large`` are finite there and do not fit the target."""

    nan: int = 0
    infinite: int = 0
    too_large: int = 0

    def plus(self, other: Unusual) -> Unusual:
        return Unusual(*(a + b for a, b in zip(self, other, strict=True)))
