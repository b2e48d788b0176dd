"""For everybody: axe-core in both themes, phones, names of controls."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .conftest import Tab, View

if TYPE_CHECKING:
    from playwright.sync_api import Page

VIEWS = {
    "summary/0": ".badge",
    "summary/3": ".badge",
    "tensors/0": "[role=tree]",
    "tensor/0/conv.weight": ".statistics .chart",
    "tensor/0/embed.weight": ".statistics .chart",
    "metadata/1": ".meta",
    "template/1": "pre",
    "tokens/1": "tbody",
    "compare/1/2": "[role=table]",
    "graph/3": "iframe",
    "tensor/4/right%E2%80%AEto%E2%81%A6left": ".heat-canvas",
    "metadata/4": ".meta",
    "tensors/4": "[role=tree]",
    "summary/9": ".problem",
}


@pytest.fixture(scope="module")
def axe() -> str:
    package = pytest.importorskip("axe_playwright_python")
    return (Path(package.__file__).parent / "axe.min.js").read_text()


def violations(page: Page, axe: str, rules: list[str] | None = None) -> list[str]:
    """What axe-core finds by all its rules or by some, but for minor things; Netron's page in its frame is Netron's."""
    page.evaluate(axe)  # through the debugger: the page's policy stays as it is
    only = {"runOnly": {"type": "rule", "values": rules}} if rules else {}
    found = page.evaluate(
        "options => axe.run(document, options)", {"iframes": False, "resultTypes": ["violations"], **only}
    )
    return [
        f"{v['id']} ({v['impact']}): {v['nodes'][0]['html'][:200]}"
        for v in found["violations"]
        if v["impact"] != "minor"
    ]


def opened(page: Page, place: str) -> None:
    """What a view shows on request is shown as well."""
    if place.startswith("tensors"):
        page.click("text=Map of sizes")
        page.wait_for_selector(".chart canvas")
        page.fill("#search", "e")
        page.wait_for_selector("mark")
    if place.startswith("compare"):
        page.click("text=Compare values")
        page.wait_for_selector(".chart canvas")
    if place.startswith("tokens"):
        page.fill("input[type=search]", "bold")
        page.wait_for_selector("text=/^1 found/")
    for summary in page.locator("main summary").all()[: 1 if place.startswith("metadata") else 2]:
        if summary.is_visible():
            summary.click()


def test_axe_finds_nothing(tab: Tab, axe: str) -> None:
    """By all rules in the light theme; in the dark one only colours can be wrong."""
    found = {}
    for place, sign in VIEWS.items():
        tab.page.emulate_media(color_scheme="light")
        page = tab.open(place)
        page.wait_for_selector(sign)
        opened(page, place)
        found[place] = violations(page, axe)
        page.emulate_media(color_scheme="dark")
        found[f"{place}, dark"] = violations(page, axe, ["color-contrast"])
    assert {place: list_ for place, list_ in found.items() if list_} == {}


def test_axe_finds_nothing_in_the_list_of_keys(tab: Tab, axe: str) -> None:
    page = tab.open()
    page.click("#help")
    page.wait_for_selector("dialog")
    assert violations(page, axe) == []


def test_nothing_is_wider_than_a_phone(visit: Callable[..., Tab], view: View) -> None:
    tab = visit(view, phone=True)
    wide = {}
    for place, sign in VIEWS.items():
        page = tab.open(place)
        page.wait_for_selector(sign)
        opened(page, place)
        wide[place] = page.evaluate("document.documentElement.scrollWidth")
    assert {place: width for place, width in wide.items() if width > 360} == {}


def test_the_picture_is_touched_on_a_phone(visit: Callable[..., Tab], view: View) -> None:
    page = visit(view, phone=True).open("tensor/0/embed.weight")
    page.wait_for_selector(".heat-canvas[aria-busy=false]")
    page.locator(".heat-canvas").tap(position={"x": 50, "y": 50})
    assert page.inner_text("#heat-value").startswith("[")


def test_focus_goes_with_the_view(tab: Tab) -> None:
    page = tab.open()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.click("nav >> text=Metadata")
    page.wait_for_selector(".view-metadata")
    assert page.evaluate("document.activeElement.id") == "main"
    assert page.inner_text("#status").startswith("Metadata")
