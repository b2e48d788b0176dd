"""A scan as SARIF 2.1.0, which code hosts and editors show. Specification: docs.oasis-open.org/sarif/sarif/v2.1.0."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from modelglot.core.errors import printable
from modelglot.core.notes import Finding
from modelglot.features.scan.report import NOTE, UNKNOWN, UNSAFE, ScanReport

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {UNSAFE: "error", UNKNOWN: "warning", NOTE: "note"}


def sarif(report: ScanReport, titles: dict[str, str], version: str) -> dict[str, Any]:
    """One run with a result a finding; ``titles`` are of rules by id."""
    used = sorted({f.rule for file in report.files for f in file.findings})
    rules = [{"id": rule, "shortDescription": {"text": titles.get(rule, rule)}} for rule in used]
    results = [_result(f, file.path, used) for file in report.files for f in file.findings]
    driver = {"name": "modelglot", "version": version, "semanticVersion": version, "rules": rules}
    artifacts = [
        {"location": {"uri": _uri(file.path)}, "properties": {"verdict": file.verdict, "kind": file.kind}}
        for file in report.files
    ]
    run = {"tool": {"driver": driver}, "artifacts": artifacts, "results": results, "columnKind": "unicodeCodePoints"}
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _result(finding: Finding, path: str, rules: list[str]) -> dict[str, Any]:
    place: dict[str, Any] = {"physicalLocation": {"artifactLocation": {"uri": _uri(path)}}}
    if finding.offset is not None and finding.member is None:
        place["physicalLocation"]["region"] = {"byteOffset": finding.offset, "byteLength": 1}
    if finding.member is not None:
        place["logicalLocations"] = [{"fullyQualifiedName": printable(finding.member), "kind": "member"}]
    hint = f" {finding.hint}." if finding.hint else ""
    return {
        "ruleId": finding.rule,
        "ruleIndex": rules.index(finding.rule),
        "level": _LEVELS[finding.severity],
        "message": {"text": f"{printable(finding.what, limit=1000)}.{hint}"},
        "locations": [place],
    }


def _uri(path: str) -> str:
    """Relative paths stay relative, as code hosts want them."""
    return ("file://" if path.startswith("/") else "") + quote(path.encode("utf-8", "surrogateescape"))
