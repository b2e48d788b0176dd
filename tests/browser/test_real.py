"""Files that others made, of every format: each is shown without a complaint, with all its tensors."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import modelglot as mg

from .conftest import Tab, View

if TYPE_CHECKING:
    from playwright.sync_api import Browser

sys.path.insert(0, str(Path(__file__).parents[1] / "real"))
from fetch import entries, folder, place

pytestmark = pytest.mark.real
EACH = 2  # files of one format
SMALL = 100 << 20


def chosen() -> Iterator[tuple[str, Path]]:
    """The first files of each format in the catalogue; one that is not there fails."""
    counts: dict[str, int] = {}
    for entry in entries():
        path, kind = place(folder(), entry), entry.get("format")
        if kind and counts.get(kind, 0) < EACH and not (path.exists() and path.stat().st_size > SMALL):
            counts[kind] = counts.get(kind, 0) + 1
            yield kind, path


FILES = list(chosen())
IDS = [f"{kind}-{path.name}" for kind, path in FILES]
# Names in the order in which the list is scrolled through
COLLECT = """async () => {
  const list = document.querySelector('[role=tree]'), found = new Map()
  for (let top = 0; ; top += list.clientHeight / 2) {
    list.scrollTop = top
    await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))
    for (const row of list.querySelectorAll('[role=treeitem]')) {
      found.set(Number(row.dataset.index), [row.querySelector('a').title, row.querySelector('.tree-type').innerText,
                                            row.querySelector('.tree-shape').innerText])
    }
    if (top + list.clientHeight >= list.scrollHeight) break
  }
  return [...found].sort((a, b) => a[0] - b[0]).map(([, row]) => row)
}"""


@pytest.fixture(scope="module")
def real(start: Callable[..., View]) -> View:
    return start(*(path for _, path in FILES))


@pytest.fixture(scope="module")
def one_tab(browser: Browser, real: View) -> Iterator[Tab]:
    """For all of them: opening another costs more than looking at a file."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    yield Tab(context.new_page(), real)
    context.close()


@pytest.fixture
def shared(one_tab: Tab) -> Tab:
    one_tab.problems.clear()
    return one_tab


def test_every_format_with_files_is_here() -> None:
    known = {e["format"] for e in entries() if e.get("format")}
    assert {kind for kind, _ in FILES} == known


@pytest.mark.parametrize("number", range(len(FILES)), ids=IDS)
def test_a_real_file(shared: Tab, number: int) -> None:
    _, path = FILES[number]
    want: dict[str, Any] = mg.inspect(path).document()
    page = shared.open(f"summary/{number}")
    page.wait_for_selector(".badge")
    assert want["format"]["title"] in page.inner_text(".facts")
    page.click("nav >> text=Tensors")
    page.wait_for_selector(".view-tensors")
    if want["tensors"]:
        assert page.locator("[role=treeitem]").count() > 0
        page.get_by_label("Arrangement").select_option("list, as in the file")
        rows = [[t["name"], t["type"], f"[{', '.join(map(str, t['shape']))}]"] for t in want["tensors"]]
        assert page.evaluate(COLLECT) == rows
        page.locator("a.tree-name").first.click()
        page.wait_for_selector(".heat-canvas[aria-busy=false], section p.soft, .problem")
        assert page.locator(".problem").count() == 0
    else:
        assert "There are no tensors" in page.inner_text("main")
    assert shared.problems == []


GRAPHS = sorted({kind: number for number, (kind, _) in reversed(list(enumerate(FILES)))}.items())


@pytest.mark.parametrize(("kind", "number"), GRAPHS, ids=[kind for kind, _ in GRAPHS])
def test_a_real_graph(shared: Tab, kind: str, number: int) -> None:
    """Netron draws whatever has a graph."""
    summary = shared.page.request.get(f"{shared.view.address}api/summary/{number}").json()
    assert (summary["graph"] is not None) == (summary["graph_view"] is not None)
    if summary["graph_view"] is None:
        return
    page = shared.open(f"graph/{number}")
    page.frame_locator("iframe").locator("#canvas .node").first.wait_for()
    assert page.locator("tbody tr").count() == len(summary["graph"]["operators"])
    assert shared.problems == []
