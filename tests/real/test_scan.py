"""Files that others made, scanned: none does harm, and what is not safe is named for what it is."""

from __future__ import annotations

import pytest
from fetch import entries, folder, place

from modelglot.api.scanning import scan
from modelglot.features.scan.report import FileScan

pytestmark = pytest.mark.real
# file: rules that it may break; pickles have their own test
EXPECTED = {
    "blla.mlmodel": {"custom-layer"},
    "part01.bin": {"incomplete"},  # the first part of a file that was cut
    "convert_llama_ggml_to_gguf.py": {"source-code"},
}


@pytest.fixture(scope="module")
def found() -> list[FileScan]:
    paths = sorted({place(folder(), e) for e in entries()})
    return list(scan([p for p in paths if p.is_file()]).files)


def test_no_rule_calls_a_public_file_unsafe(found: list[FileScan]) -> None:
    assert len(found) > 100
    bad = {
        f.path: f.findings for f in found if any(x.severity == "unsafe" and x.rule[:6] != "pickle" for x in f.findings)
    }
    assert not bad


def test_what_is_not_safe_is_named(found: list[FileScan]) -> None:
    said = {
        f.path.rsplit("/", 1)[-1]: {x.rule for x in f.findings if x.severity == "unknown"} - {"pickle-global"}
        for f in found
    }
    said = {name: rules for name, rules in said.items() if rules and name not in EXPECTED}
    pointers = {name for name, rules in said.items() if rules == {"pointer"}}
    assert pointers <= {"model.onnx"}
    left = {name: rules for name, rules in said.items() if name not in pointers}
    assert not left


def test_templates_and_settings_are_safe(found: list[FileScan]) -> None:
    texts = [f for f in found if f.path.endswith((".jinja", ".json", ".txt"))]
    assert len(texts) > 30
    assert {f.path for f in texts if f.verdict != "safe"} == set()
