"""Two files side by side, and the graph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import modelglot as mg

from .conftest import PLACES, Tab, View


def row(tab: Tab, name: str) -> list[str]:
    return tab.page.locator("[role=row]", has_text=name).first.locator("[role=cell]").all_inner_texts()


def test_an_original_and_its_quantization(tab: Tab, files: dict[str, Path]) -> None:
    page = tab.open(f"compare/{PLACES['original']}/{PLACES['quantized']}")
    facts = dict(zip(page.locator("dt").all_inner_texts(), page.locator("dd").all_inner_texts(), strict=True))
    assert facts["other type or shape"] == "25 tensors"
    assert facts["same type and shape"] == "6 tensors"
    assert row(tab, "blk.3.ffn_up.weight")[1:4] == ["f32 [64, 64]", "q4_0 [64, 64]", ""]
    page.click("text=Compare values")
    page.wait_for_selector("button:has-text('Compared')")
    want = {t.name: t for t in mg.compare(files["original"], files["quantized"]).tensors}
    _, _, _, bits, relative, largest, snr = row(tab, "blk.3.ffn_up.weight")
    error = want["blk.3.ffn_up.weight"]
    assert float(bits) == error.bits
    assert float(relative) == pytest.approx(error.relative, rel=1e-3)
    assert float(largest) == pytest.approx(error.worst, rel=1e-3)
    assert float(snr.removesuffix(" dB")) == pytest.approx(error.snr, abs=0.06)
    assert "31 tensors compared: 6 equal, 25 with errors" in page.inner_text("main")
    page.wait_for_selector(".chart canvas")
    assert "blk.#.attn_q.weight" in page.get_attribute(".chart", "aria-label")
    page.get_by_label("Which").select_option("worst first")
    worst = max(want.values(), key=lambda t: t.relative)
    assert worst.name in page.locator("[role=row] bdi").first.inner_text()


def test_added_and_removed(visit: Callable[..., Tab], start: Callable[..., View], tmp_path: Path) -> None:
    import numpy as np

    one = np.ones(4, np.float32)
    mg.save({"both": one, "gone": one, "wider": one}, tmp_path / "a.safetensors")
    mg.save({"both": one, "new": one, "wider": np.ones(8, np.float32)}, tmp_path / "b.safetensors")
    tab = visit(start(tmp_path / "a.safetensors", tmp_path / "b.safetensors"))
    page = tab.open("compare/0/1")
    names = page.locator("[role=cell].tree-name").all_inner_texts()
    assert [n.split()[:2] for n in names] == [["≠", "wider"], ["−", "gone"], ["+", "new"], ["=", "both"]]
    page.click("text=Compare values")
    page.wait_for_selector("text=1 tensor compared: all values are equal.")
    page.get_by_label("Which").select_option("added")
    assert page.locator("[role=cell].tree-name").count() == 1
    page.get_by_label("Reference").select_option("b.safetensors")  # they change places
    page.wait_for_url("**#compare/1/0")


def test_comparing_is_stopped_and_goes_on(tab: Tab) -> None:
    page = tab.page
    waiting = []
    page.route("**/tensor?name=blk.2*", lambda route: waiting.append(route))
    tab.open(f"compare/{PLACES['original']}/{PLACES['quantized']}")
    page.click("text=Compare values")
    page.wait_for_function("() => document.querySelector('progress').value >= 9")
    page.click("text=Stop")
    page.wait_for_selector("text=Not all were read.")
    page.unroute_all()
    page.click("text=Go on")
    page.wait_for_selector("button:has-text('Compared')")


def test_the_graph_by_netron(tab: Tab) -> None:
    page = tab.open(f"graph/{PLACES['graph']}")
    frame = page.frame_locator("iframe")
    frame.locator("text=HardSwish").wait_for()
    assert frame.locator("text=Gemm").count()
    assert page.get_attribute("iframe", "title") == "Graph of graph.onnx, drawn by Netron"
    page.click("text=2 nodes by operator")
    assert page.locator("tbody tr").first.inner_text().split() == ["Gemm", "1"]


def test_netron_is_loaded_only_for_the_graph(tab: Tab) -> None:
    tab.open(f"summary/{PLACES['graph']}")
    tab.page.wait_for_selector("nav >> text=Graph")
    assert not [url for url in tab.asked if "netron" in url]
