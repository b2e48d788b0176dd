"""What a rule is: one file in this folder, one row in `table.RULES`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from modelglot.core.notes import Finding
from modelglot.features.scan.look import Look, Whole


class Rule(NamedTuple):
    """``id`` is the `Finding.rule` of what it finds and stays the same; ``looks_at`` is for people. ``part`` is asked
    of every part of a file, ``whole`` once. A ModelFileError that one raises becomes `incomplete`."""

    id: str
    title: str
    looks_at: str
    part: Callable[[Look], Iterable[Finding]] | None = None
    whole: Callable[[Whole], Iterable[Finding]] | None = None
