"""The typed result of a scan: one verdict a file, and what led to it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from modelglot.core.notes import Finding

SAFE, UNKNOWN, UNSAFE = "safe", "unknown", "unsafe"
ORDER = (SAFE, UNKNOWN, UNSAFE)
NOTE = "note"  # the severity of what is worth knowing and changes no verdict: a secret, a path of somebody's home
INCOMPLETE = "incomplete"  # the rule of what could not be read; it never lowers a verdict
CLOSED = "cannot-open"  # the rule of what is not there, or cannot be opened
REFUSED = "refused-content"  # the rule of what a reader would have to open or run, and does not
INVALID = "invalid-structure"  # the rule of what breaks its specification: readers differ in what they make of it


@dataclass(frozen=True, slots=True)
class FileScan:
    """``safe``: read whole, and everything named in it is known to be data. ``unknown``: loading it needs code that
    nobody here knows, or something could not be read. ``unsafe``: it would do more than load."""

    path: str
    kind: str  # what the file is, in words
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> str:
        return ORDER[max((_rank(f.severity) for f in self.findings), default=0)]

    @property
    def incomplete(self) -> bool:
        return any(f.rule in (INCOMPLETE, INVALID, REFUSED, CLOSED) for f in self.findings)

    def document(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "kind": self.kind,
            "verdict": self.verdict,
            "incomplete": self.incomplete,
            "findings": [
                {"rule": f.rule, "severity": f.severity, "what": f.what, "member": f.member, "offset": f.offset,
                 "hint": f.hint}
                for f in self.findings
            ],
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class ScanReport:
    files: tuple[FileScan, ...]

    @property
    def verdict(self) -> str:
        return max((f.verdict for f in self.files), key=ORDER.index, default=SAFE)

    @property
    def incomplete(self) -> bool:
        return any(f.incomplete for f in self.files)

    @property
    def closed(self) -> tuple[str, ...]:
        """Paths that are not there or cannot be opened."""
        return tuple(file.path for file in self.files for f in file.findings if f.rule == CLOSED)

    def document(self) -> dict[str, Any]:
        counts = {name: sum(f.verdict == name for f in self.files) for name in ORDER}
        return {
            "schema": "modelglot.scan/1",
            "verdict": self.verdict,
            "incomplete": self.incomplete,
            "counts": counts,
            "files": [f.document() for f in self.files],
        }


def sorted_findings(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The worst first, each once."""
    return tuple(sorted(dict.fromkeys(findings), key=lambda f: (f.severity == NOTE, -_rank(f.severity))))


def _rank(severity: str) -> int:
    return 0 if severity == NOTE else ORDER.index(severity)
