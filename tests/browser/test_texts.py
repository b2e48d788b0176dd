"""Metadata, templates and tokens: all of it, and only as text."""

from __future__ import annotations

from . import models
from .conftest import PLACES, Tab


def test_metadata_is_searched(tab: Tab) -> None:
    page = tab.open("metadata/1")
    assert "llama.block_count" in page.inner_text("main")
    page.keyboard.press("/")
    page.keyboard.type("context")
    page.wait_for_selector("text=1 key found")
    assert page.locator(".meta > li:visible").inner_text().split() == ["llama.context_length", "u32", "128"]


def test_long_values_open(tab: Tab) -> None:
    page = tab.open("metadata/1")
    item = page.locator(".meta > li", has_text="general.description")
    assert "the end" not in item.inner_text()
    item.locator("summary").click()
    page.wait_for_selector("pre")
    assert page.inner_text("pre").endswith("the end")


def test_long_arrays_are_paged_and_searched(tab: Tab) -> None:
    page = tab.open("metadata/1")
    page.locator(".meta > li", has_text="tokenizer.ggml.tokens").locator("summary").click()
    page.wait_for_selector("text=1 to 200 of 503")
    page.click("text=After")
    page.wait_for_selector("text=201 to 400 of 503")
    assert page.locator(".values li").first.inner_text().split() == ["200", "token200"]
    page.get_by_label("Search the values of tokenizer.ggml.tokens").fill("token49")
    page.wait_for_selector("text=1 to 11 of 11")


def test_a_template_is_text(tab: Tab) -> None:
    page = tab.open(f"template/{PLACES['original']}")
    assert page.text_content("pre.code") == models.TEMPLATE
    assert page.locator("pre.code .jinja-step").count() == 2
    assert "not rendered" in page.inner_text("main")


def test_tokens_are_searched(tab: Tab) -> None:
    page = tab.open("tokens/1")
    page.wait_for_selector("text=503 tokens, gpt2; 1 to 200 shown")
    assert page.locator("tbody tr").nth(3).inner_text().split() == ["3", "token3", "normal"]
    page.fill("input[type=search]", "token1")
    page.wait_for_selector("text=/^111 found of 503 tokens/")
    page.fill("input[type=search]", "bold")
    page.wait_for_selector("text=/^1 found of 503 tokens/")
    assert "<b>bold</b>" in page.inner_text("tbody")
    page.fill("input[type=search]", "")
    page.get_by_label("from number").fill("502")
    page.get_by_label("from number").press("Enter")
    page.wait_for_selector("text=503 to 503 shown")
    assert "a\\u202eb" in page.inner_text("tbody")


def test_hostile_names_are_inert(tab: Tab) -> None:
    """They are shown whole, as what they are, in every view, and lead where they should."""
    number = PLACES["hostile"]
    page = tab.open(f"tensors/{number}")
    page.get_by_label("Arrangement").select_option("list, as in the file")
    assert page.locator("[role=treeitem]").count() == len(models.HOSTILE)
    shown = page.eval_on_selector_all("a.tree-name", "links => links.map(a => a.innerText)")
    assert shown[0] == models.HOSTILE[0]
    assert "right\\u202eto\\u2066left" in shown
    assert "line\\nbreak\\ttab\\u0000nul" in shown
    for index, name in enumerate(models.HOSTILE):
        page.locator("a.tree-name").nth(index).click()
        page.wait_for_selector(".heat-canvas[aria-busy=false]")
        assert page.evaluate("decodeURIComponent(location.hash.split('/').slice(2).join('/'))") == name
        page.keyboard.press("Escape")
        page.wait_for_selector("[role=tree]")
    page = tab.open(f"metadata/{number}")
    assert page.locator(".meta > li").count() == len(models.HOSTILE)
    for place in ("summary", "tensors", "metadata", "compare"):
        page = tab.open(f"{place}/{number}")
        page.wait_for_timeout(100)
        assert page.evaluate("window.hurt") is None
        assert page.locator("main script, main img, main svg, main b").count() == 0
        assert page.locator("a[href^='javascript:']").count() == 0
