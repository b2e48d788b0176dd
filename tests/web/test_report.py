"""`report` and `plot`: one page without script or request, whatever the names in the file are."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import modelglot as mg
from modelglot.cli.main import run

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }}",
    "a\u202egnp.exe",
    "javascript:x",
)


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def model(tmp_path: Path) -> Path:
    state = {f"layers.{n}.weight": np.random.default_rng(n).standard_normal((8, 16)).astype("f4") for n in range(3)}
    state |= {name: np.ones((2, 3), "f4") for name in HOSTILE}
    mg.save(state, tmp_path / "m.safetensors", metadata={name: name for name in HOSTILE})
    return tmp_path / "m.safetensors"


def test_a_page_of_one_file(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "r.html"
    assert run(["report", str(model), "-o", str(out), "--stats"]) == 0
    page = Page(out.read_text())
    assert not {tag for tag, _ in page.tags} & {"script", "img", "link", "iframe", "object", "form", "a", "base"}
    for tag, attributes in page.tags:
        assert not any(key.startswith("on") or key in ("src", "href") for key in attributes), (tag, attributes)
    for said in ("layers.{0..2}.weight", "safe", "8 tensors", *HOSTILE[:3], HOSTILE[4]):
        assert said in page.text
    assert "49" not in page.text.split("Metadata")[1][:400]
    policies = [a.get("content") for tag, a in page.tags if tag == "meta" and a.get("http-equiv")]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]


def test_an_output_is_replaced_when_told(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "r.html"
    out.write_text("mine")
    assert run(["report", str(model), "-o", str(out)]) == 9
    assert out.read_text() == "mine"
    assert run(["report", str(model), "-o", str(out), "--force"]) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.safetensors", "r.html"]


@pytest.mark.parametrize("what", ["sizes", "histograms", "spectrum", "compare"])
@pytest.mark.parametrize("kind", ["png", "svg"])
def test_pictures(model: Path, what: str, kind: str, tmp_path: Path) -> None:
    paths = [str(model)] * (2 if what == "compare" else 1)
    out = tmp_path / f"p.{kind}"
    assert run(["plot", *paths, "--what", what, "-o", str(out)]) == 0
    assert out.read_bytes().startswith({"png": b"\x89PNG", "svg": b"<?xml"}[kind])
    if kind == "svg":
        assert "<script" not in out.read_text()


def test_what_cannot_be_drawn(model: Path, tmp_path: Path) -> None:
    assert run(["plot", str(model), str(model), "-o", str(tmp_path / "p.png")]) == 2
    assert run(["plot", str(model), "--what", "compare", "-o", str(tmp_path / "p.png")]) == 2
    assert run(["plot", str(model), "-o", str(tmp_path / "p.pdf")]) == 7
    assert run(["plot", str(model), "--match", "nothing", "--what", "histograms", "-o", str(tmp_path / "p.png")]) == 7
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]
