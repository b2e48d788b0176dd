"""A part of a file that is looked at: where it came from, and its bytes."""

from __future__ import annotations

from dataclasses import dataclass

from modelglot.containers.pickle.window import Window
from modelglot.core.limits import Limits
from modelglot.core.notes import Finding
from modelglot.features.scan.report import INCOMPLETE, NOTE, UNKNOWN, UNSAFE

MOST_DEPTH = 4  # archives inside archives


@dataclass(frozen=True, slots=True)
class Piece:
    """``member`` is the way to it inside the file (``archive/data.pkl``), None for the file itself; ``name`` its last
    part. ``inside`` names what it was found in (``torch-zip``, ``torchscript``, ``npz``, ``tar`` ...)."""

    path: str
    name: str
    window: Window
    limits: Limits
    member: str | None = None
    inside: str = ""
    depth: int = 0

    def head(self, length: int = 64) -> bytes:
        return self.window.read(0, min(length, self.window.length))

    def below(self, member: str, window: Window, inside: str) -> Piece:
        """A part of this part."""
        whole = f"{self.member}!{member}" if self.member else member
        return Piece(self.path, member.rsplit("/", 1)[-1], window, self.limits, whole, inside, self.depth + 1)

    def unsafe(self, rule: str, what: str, offset: int | None = None, hint: str | None = None) -> Finding:
        return Finding(rule, UNSAFE, what, self.path, self.member, offset, hint)

    def unknown(self, rule: str, what: str, offset: int | None = None, hint: str | None = None) -> Finding:
        return Finding(rule, UNKNOWN, what, self.path, self.member, offset, hint)

    def note(self, rule: str, what: str, offset: int | None = None, hint: str | None = None) -> Finding:
        """Worth knowing; changes no verdict."""
        return Finding(rule, NOTE, what, self.path, self.member, offset, hint)

    def incomplete(self, what: str, offset: int | None = None) -> Finding:
        return Finding(INCOMPLETE, UNKNOWN, what, self.path, self.member, offset)
