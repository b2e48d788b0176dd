"""The typed result: what was held against what, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

RIGHT, WRONG, NONE = "right", "wrong", "none"


@dataclass(frozen=True, slots=True)
class Check:
    """``state``: right, wrong, or none where there is nothing to hold it against. ``where`` is a tensor or a member."""

    state: str
    what: str
    where: str | None = None


@dataclass(frozen=True, slots=True)
class VerifyReport:
    path: str
    title: str
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Nothing is wrong; what no checksum covers may have changed all the same."""
        return all(check.state != WRONG for check in self.checks)

    def document(self) -> dict[str, Any]:
        return {
            "schema": "modelglot.verify/1",
            "path": self.path,
            "format": self.title,
            "ok": self.ok,
            "checks": [{"state": c.state, "what": c.what, "where": c.where} for c in self.checks],
        }
