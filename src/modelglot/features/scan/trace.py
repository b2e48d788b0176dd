"""Consecutive pickles of a part, traced: what they use, what only a hostile stream does, and where reading ended."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

from modelglot.containers.pickle.window import Blob, Window
from modelglot.core.errors import LimitError, ModelFileError
from modelglot.core.limits import MIB, Limits
from modelglot.features.scan.roles import CALLED, MADE, NAMED, STORAGE, Use
from modelglot.features.scan.tracer import Tracer

__all__ = ["CALLED", "MADE", "NAMED", "STORAGE", "Trace", "Use", "trace"]
_STREAMS = 1024  # pickles one after another
_AFTER, _TRIES = 1 * MIB, 256  # how far after the last pickle another is searched for, and how often
_START = re.compile(rb"\x80[\x02-\x05]|c[a-zA-Z_][\w.]*\n[a-zA-Z_][\w.]*\n[()\]}VSTUXBC\x8c\x8e\x94\x85qp0]")


class Trace(NamedTuple):
    """``end``: offset after the last whole pickle; ``problem`` is what ended the reading early. ``broken``: what comes
    after the last whole pickle begins as one and breaks."""

    uses: tuple[Use, ...]
    oddities: Mapping[str, int]
    blobs: tuple[bytes | str | Blob, ...]
    end: int
    problem: ModelFileError | None
    broken: bool

    @property
    def acts(self) -> bool:
        return any(use.role in (CALLED, MADE) for use in self.uses)


def trace(window: Window, limits: Limits) -> Trace:
    """All pickles of a window. Never raises for what is in it."""
    machine = Tracer(window, limits)
    at, problem, broken = 0, None, False
    for _ in range(_STREAMS):
        if at >= window.length:
            break
        before, odd, kept = dict(machine.uses), dict(machine.oddities), dict(machine.blobs)
        try:
            _, at = machine.run(at)
        except ModelFileError as error:
            problem = error
            broken = _begun(window, at, error)
            if at and not broken and not _used(before, machine):  # data that happens to begin with an opcode
                machine.uses, machine.oddities, machine.blobs = before, odd, kept
            break
    else:
        problem = LimitError(f"more than {_STREAMS:,} pickles one after another", offset=at)
        broken = True
    if at < window.length and (at or broken):
        _search(machine, window, at)
    return Trace(
        tuple(use for use in machine.uses.values()),
        machine.oddities, tuple(machine.blobs), at, problem, broken,
    )  # fmt: skip


def _begun(window: Window, at: int, error: ModelFileError) -> bool:
    """Does a pickle with a header begin there, more than two bytes that any number can have?"""
    head = window.read(at, min(2, window.length - at))
    began = head[:1] == b"\x80" and head[1:] <= b"\x05"
    return began and ((at == 0 and head[1:] != b"\0") or error.offset is None or error.offset > at + 2)


def _used(before: Mapping[tuple[object, ...], Use], machine: Tracer) -> bool:
    """Did a broken stream use something, and only what can be a name?"""
    fresh = [use for key, use in machine.uses.items() if key not in before]
    return bool(fresh) and all(plausible(use.name) for use in fresh)


def plausible(name: str) -> bool:
    """Could this be imported? Text and numbers that happen to spell an opcode rarely could."""
    return all(part.isidentifier() for part in name.replace("?", "x").split("."))


def _search(machine: Tracer, window: Window, start: int) -> None:
    """Pickles behind other bytes: what a broken beginning or raw data hides. Only what acts counts."""
    data = window.read(start, min(_AFTER, window.length - start))
    for _, match in zip(range(_TRIES), _START.finditer(data, 1), strict=False):
        inner = Tracer(window, machine.limits)
        with suppress(ModelFileError):
            inner.run(start + match.start())
        if _used({}, inner) and any(use.role in (CALLED, MADE) for use in inner.uses.values()):
            for key, use in inner.uses.items():
                machine.uses.setdefault(key, use)
            machine.oddities = inner.oddities | machine.oddities
            machine.blobs = machine.blobs | inner.blobs
