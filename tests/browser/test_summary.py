"""The first page: what the file is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import modelglot as mg

from .conftest import Tab, View


def test_opens_and_says_what_the_file_is(tab: Tab, files: dict[str, Path]) -> None:
    page = tab.open()
    assert page.title() == "Summary · plain.safetensors · modelglot"
    assert page.inner_text("h1") == "plain.safetensors"
    page.wait_for_selector(".badge-safe")
    text, want = page.inner_text("main"), mg.inspect(files["plain"]).document()
    assert want["format"]["title"] in text
    assert f"{want['totals']['parameters']:,}" in text
    assert page.locator("tbody tr").first.inner_text().split()[:2] == ["f32", str(want["totals"]["tensors"])]


def test_nothing_waits_for_the_tensors_the_scan_or_the_charts(tab: Tab) -> None:
    page = tab.page
    page.route("**/api/scan/**", lambda route: route.abort())
    page.goto(tab.view.at())
    page.wait_for_selector("section h2")
    asked = [url.removeprefix(tab.view.address) for url in tab.asked]
    assert not [a for a in asked if a.startswith(("api/tensors", "static/vendor", "static/views/tensor"))]
    tab.problems.clear()


def test_files_are_switched(tab: Tab) -> None:
    page = tab.open()
    page.get_by_label("File", exact=True).select_option("quantized.gguf")
    page.wait_for_selector("h1:has-text('quantized.gguf')")
    assert "q4_0" in page.inner_text("main")
    assert page.url.endswith("#summary/2")
    assert page.locator("nav a").all_inner_texts() == [
        "Summary",
        "Tensors",
        "Metadata",
        "Template",
        "Tokens",
        "Compare",
    ]


def test_findings_are_shown_with_what_to_do(
    visit: Callable[..., Tab], start: Callable[..., View], tmp_path: Path
) -> None:
    import pickle

    class Call:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            import os

            return os.system, ("true",)

    path = tmp_path / "bad.pkl"
    path.write_bytes(pickle.dumps({"weights": Call()}))
    page = visit(start(path)).open()
    page.wait_for_selector(".badge-unsafe")
    finding = page.locator(".findings li").first.inner_text()
    assert "system" in finding
    assert mg.scan(path).document()["files"][0]["findings"][0]["hint"] in page.inner_text(".findings")


def test_a_place_that_is_not_there_is_said(tab: Tab) -> None:
    page = tab.open("summary/77")
    assert page.inner_text(".problem") == "there is no such file in this page"
    page = tab.open("elsewhere/0")
    assert page.inner_text(".problem") == "there is no such view"


def test_an_error_of_the_server_is_shown_in_place(tab: Tab) -> None:
    page = tab.open("tensor/0/nothing")
    assert "there is no tensor `nothing`" in page.inner_text(".problem")
    assert all("422" in p for p in tab.problems)  # the browser's own line on the answer
    tab.problems.clear()


def test_the_theme_is_chosen_and_kept(tab: Tab) -> None:
    page = tab.open()
    back = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(back)
    page.click("#theme")
    assert page.inner_text("#theme") == "Theme: light"
    page.click("#theme")
    assert page.evaluate(back) != light
    page.reload()
    page.wait_for_selector("h1")
    assert page.inner_text("#theme") == "Theme: dark"
    assert page.evaluate(back) != light
