"""The report as text, JSON and SARIF, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import pytest

from modelglot.cli.main import run
from modelglot.features.scan.rules.table import RULES, TITLES


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "a model, ü"
    made.mkdir()
    (made / "config.json").write_text('{"_target_": "os.system", "x": "/home/alice/x"}')
    (made / "auto.json").write_text('{"auto_map": {"AutoModel": "m.M"}}')
    (made / "LICENSE").write_text("MIT")
    (made / "g.pbtxt").write_text('node { op: "ReadFile" }')
    return made


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    code = run(["scan", *arguments])
    return code, json.loads(capsys.readouterr().out)


def test_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = printed(capsys, str(folder), "--json")
    assert code == 1
    assert found["schema"] == "modelglot.scan/1"
    assert found["counts"] == {"safe": 1, "unknown": 1, "unsafe": 2}
    assert {f["severity"] for file in found["files"] for f in file["findings"]} == {"unsafe", "unknown", "note"}


def test_exit_codes(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["scan", str(folder / "auto.json")]) == 0
    assert run(["scan", str(folder / "auto.json"), "--fail-on", "unknown"]) == 1
    assert run(["scan", str(folder / "LICENSE"), "--fail-on", "unknown"]) == 0
    assert run(["scan", str(tmp_path / "missing")]) == 3
    (tmp_path / "home.json").write_text('"/home/alice/x"')
    assert run(["scan", str(tmp_path / "home.json"), "--fail-on", "unknown"]) == 0, "notes fail nothing"


def test_sarif(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the schema of SARIF 2.1.0 requires, and the values that it lists."""
    code, found = printed(capsys, str(folder), "--sarif")
    assert code == 1
    assert found["version"] == "2.1.0"
    assert set(found) <= {"$schema", "version", "runs"}
    (only,) = found["runs"]
    driver = only["tool"]["driver"]
    assert driver["name"] == "modelglot"
    assert len({r["id"] for r in driver["rules"]}) == len(driver["rules"])
    assert all(r["shortDescription"]["text"] for r in driver["rules"])
    assert {r["level"] for r in only["results"]} == {"error", "warning", "note"}
    for result in only["results"]:
        assert result["message"]["text"].endswith(".")
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        (place,) = result["locations"]
        physical = place["physicalLocation"]
        address = urlparse(physical["artifactLocation"]["uri"])
        assert address.scheme == "file"
        assert Path(unquote(address.path)).exists()
        assert physical.get("region", {"byteOffset": 0})["byteOffset"] >= 0
    assert len(only["artifacts"]) == 4


def test_every_rule_has_a_title_and_says_what_it_looks_at() -> None:
    assert len({rule.id for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule.part or rule.whole
        assert rule.title
        assert rule.looks_at
        assert TITLES[rule.id] == rule.title


def test_one_rule_is_one_file() -> None:
    import modelglot.features.scan.rules as package

    names = {p.stem for p in Path(package.__path__[0]).glob("*.py")} - {"__init__", "rule", "table", "pickles"}
    assert len(names) == len(RULES)


def test_the_guide_names_every_rule() -> None:
    text = (Path(__file__).parents[3] / "docs" / "security.md").read_text()
    assert [rule.id for rule in RULES if f"`{rule.id}`" not in text] == []
