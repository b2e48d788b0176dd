"""What stands between a model and a runtime, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple


class Obstacle(NamedTuple):
    """``level`` is ``blocker`` (it will not load, or not work) or ``warning``; ``code`` is kebab-case and stable."""

    level: str
    code: str
    what: str
    hint: str | None = None


def blocker(code: str, what: str, hint: str | None = None) -> Obstacle:
    return Obstacle("blocker", code, what, hint)


def warning(code: str, what: str, hint: str | None = None) -> Obstacle:
    return Obstacle("warning", code, what, hint)


@dataclass(frozen=True, slots=True)
class CheckReport:
    path: str
    target: str
    title: str
    obstacles: tuple[Obstacle, ...]

    @property
    def ok(self) -> bool:
        """True where nothing blocks."""
        return not any(o.level == "blocker" for o in self.obstacles)

    def document(self) -> dict[str, Any]:
        """Plain data for ``--json``; `schema` names its shape."""
        return {
            "schema": "modelglot.check/1",
            "path": self.path,
            "target": self.target,
            "loads": self.ok,
            "obstacles": [{"level": o.level, "code": o.code, "what": o.what, "hint": o.hint} for o in self.obstacles],
        }
