"""The page's own files: small, complete, and without what the policy forbids."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

import modelglot

STATIC = Path(modelglot.__file__).parent / "web" / "static"
SCRIPTS = sorted(p for p in STATIC.rglob("*.js") if p.parent.name != "vendor")
LINES = 200
FORBIDDEN = (
    "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "setAttribute('style'",
    "srcdoc", "http://", "https://",
)  # fmt: skip


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.relative_to(STATIC).as_posix())
def test_a_module(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.startswith("//"), "says what it is for"
    assert len(text.splitlines()) <= LINES
    assert [word for word in FORBIDDEN if word in text] == []
    for name in re.findall(r"""(?:from|import\() ?'([\w./-]+)'""", text):
        assert name.startswith("."), "modules are addressed beside one another"
        assert (path.parent / name).is_file()


def test_the_page_has_nothing_inline() -> None:
    text = (STATIC / "index.html").read_text("utf-8")
    assert not re.search(r"<style|<script>| style=| on\w+=", text)
    for name in re.findall(r'(?:href|src)="(static/[^"]+)"', text):
        assert (STATIC.parent / name).is_file()


def test_what_others_made_is_as_they_made_it() -> None:
    vendor = STATIC / "vendor"
    said = {name: digest for digest, name in re.findall(r"sha256 (\w{64})  (\S+)", (vendor / "README.md").read_text())}
    assert said == {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in vendor.glob("*.js")}
    for name in ("echarts.LICENSE", "echarts.NOTICE", "echarts.LICENSE-d3"):
        assert (vendor / name).is_file()
