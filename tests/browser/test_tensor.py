"""A tensor's page: facts, statistics, and the heat-map against numpy."""

from __future__ import annotations

from base64 import b64decode
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import modelglot as mg

from .conftest import Tab

if TYPE_CHECKING:
    from playwright.sync_api import Page

Array = np.ndarray[Any, Any]
PIXELS = """c => new Promise(done => {
  const reader = new FileReader()
  reader.onload = () => done([c.width, c.height, reader.result.split(',')[1]])
  reader.readAsDataURL(new Blob([c.getContext('2d').getImageData(0, 0, c.width, c.height).data]))
})"""
RAMP = "async dark => Array.from((await import('./static/heat/colours.js')).ramp(dark))"


def drawn(page: Page) -> Any:
    page.wait_for_selector(".heat-canvas[aria-busy=false]")
    return page.locator(".heat-canvas")


def seen(page: Page) -> dict[str, float]:
    """Where the picture begins, its steps, and the end of its scale."""
    return {k: float(v) for k, v in drawn(page).evaluate("c => ({...c.dataset})").items() if k != "slice"}


def settled(page: Page, **want: float) -> dict[str, float]:
    test = " && ".join(f"Number(d.{key}) === {value}" for key, value in want.items())
    page.wait_for_function(f"() => {{ const d = document.querySelector('.heat-canvas').dataset; return {test} }}")
    return seen(page)


def slice_is(page: Page, slice_: str) -> None:
    """Waits for axes and places: rows, columns, index on each axis."""
    page.wait_for_selector(f".heat-canvas[data-slice='{slice_}'][aria-busy=false]")


def expected(ramp: list[int], values: Array, limit: float) -> Array:
    """RGB of values on a scale that ends at ±limit."""
    with np.errstate(invalid="ignore"):
        place = (
            np.rint(np.clip(np.nan_to_num(values / limit, nan=0, posinf=1, neginf=-1), -1, 1) * 255).astype(int) + 255
        )
    colours = np.array(ramp).reshape(-1, 3)[place]
    colours[np.isnan(values)] = [255, 208, 0]
    return colours


def check(page: Page, values: Array, *, dark: bool = False, odd: bool = False) -> None:
    """Every pixel of the picture is that of its value."""
    width, height, data = drawn(page).evaluate(PIXELS)
    got = np.frombuffer(b64decode(data), np.uint8).reshape(height, width, 4)[..., :3].astype(int)
    where = seen(page)
    high, wide = int(where["rowPixels"]), int(where["columnPixels"])
    shown = np.repeat(np.repeat(values, high, 0), wide, 1)
    assert got.shape[:2] == shown.shape
    want = expected(page.evaluate(RAMP, dark), shown, where["limit"])
    assert np.abs(got - want).max() <= 3  # a value between two colours may go to either
    if not odd:
        assert where["limit"] == pytest.approx(np.quantile(np.abs(values), 0.99, method="higher"), rel=0.02)


@pytest.fixture(scope="module")
def state(files: dict[str, Path]) -> dict[str, Array]:
    return {name: np.asarray(value) for name, value in mg.load(files["plain"]).items()}


def test_facts_and_statistics(tab: Tab, state: dict[str, Array]) -> None:
    page = tab.open("tensor/0/embed.weight")
    page.wait_for_selector("text=standard deviation")
    facts = dict(zip(page.locator("dt").all_inner_texts(), page.locator("dd").all_inner_texts(), strict=True))
    values = state["embed.weight"]
    assert facts["shape"] == "[3000, 96]"
    assert float(facts["mean"].replace("−", "-")) == pytest.approx(values.mean(), rel=1e-3)
    assert float(facts["maximum"]) == values.max()
    page.wait_for_selector(".statistics .chart canvas")
    assert "Histogram" in page.get_attribute(".statistics .chart", "aria-label")


def test_pixels_are_values(tab: Tab, state: dict[str, Array]) -> None:
    page = tab.open("tensor/0/model.layers.0.attn.q.weight")
    check(page, state["model.layers.0.attn.q.weight"])
    assert "Every value is seen" in page.inner_text("#heat-said")


def test_an_overview_is_a_sample_and_says_so(tab: Tab, state: dict[str, Array]) -> None:
    page = tab.open("tensor/0/embed.weight")
    check(page, state["embed.weight"][::6])
    assert page.inner_text("#heat-said").startswith("Rows 0 to 2,994 of 3,000, every 6th; columns 0 to 95 of 96.")
    assert "a sample" in page.inner_text("#heat-said")


def test_pan_and_zoom(tab: Tab, state: dict[str, Array]) -> None:
    page = tab.open("tensor/0/embed.weight")
    drawn(page)
    for _ in range(3):
        page.get_by_label("closer").click()
    settled(page, rowStep=1, rowPixels=1)
    page.get_by_label("rows from").fill("1234")
    page.get_by_label("rows from").press("Enter")
    where = settled(page, row=1234)
    left, wide = int(where["column"]), int(where["columnPixels"])
    width, height, _ = drawn(page).evaluate(PIXELS)
    check(page, state["embed.weight"][1234 : 1234 + height, left : left + width // wide], odd=True)
    box = drawn(page).bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 100, box["y"] + 150, steps=3)
    page.mouse.up()
    settled(page, row=1284)
    page.get_by_label("the whole slice").click()
    settled(page, row=0, rowStep=6)


def test_axes_of_a_tensor_of_four(tab: Tab, state: dict[str, Array]) -> None:
    page = tab.open("tensor/0/conv.weight")
    values = state["conv.weight"]
    check(page, values[:, 0, 0, :])  # the two longest
    page.get_by_label("rows", exact=True).select_option(label="axis 2 (3)")
    page.get_by_label("columns", exact=True).select_option(label="axis 1 (4)")
    page.get_by_label("axis 3 at").fill("4")
    page.get_by_label("axis 3 at").press("Enter")
    page.get_by_label("axis 0 at").fill("6")
    page.get_by_label("axis 0 at").press("Enter")
    slice_is(page, "2,1,6,0,0,4")
    check(page, values[6, :, :, 4].T)
    page.get_by_label("rows", exact=True).select_option(label="axis 1 (4)")  # the columns' axis: they change places
    slice_is(page, "1,2,6,0,0,4")
    check(page, values[6, :, :, 4])


def test_vectors_and_scalars(tab: Tab, state: dict[str, Array]) -> None:
    page = tab.open("tensor/0/vector")
    check(page, state["vector"][None])
    page = tab.open("tensor/0/scalar")
    check(page, state["scalar"].reshape(1, 1))
    page = tab.open("tensor/0/empty")
    assert page.locator(".heat-canvas").count() == 0


def test_what_is_not_finite_is_seen(tab: Tab, state: dict[str, Array]) -> None:
    page = tab.open("tensor/0/odd")
    check(page, state["odd"], odd=True)
    assert "3 are not finite (NaN is yellow)" in page.inner_text("#heat-said")


def test_the_value_under_the_pointer(tab: Tab, state: dict[str, Array]) -> None:
    page = tab.open("tensor/0/model.layers.0.attn.q.weight")
    where, box = seen(page), drawn(page).bounding_box()
    row, column = 17, 40
    page.mouse.move(box["x"] + (column + 0.5) * where["columnPixels"], box["y"] + (row + 0.5) * where["rowPixels"])
    place, value = page.inner_text("#heat-value").split(" = ")
    assert place == "[17, 40]"
    assert np.float32(value) == state["model.layers.0.attn.q.weight"][row, column]


def test_the_value_by_keyboard(tab: Tab, state: dict[str, Array]) -> None:
    page = tab.open("tensor/0/embed.weight")
    drawn(page).focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    place, value = page.inner_text("#heat-value").split(" = ")
    assert place == "[6, 2]"
    assert np.float32(value) == state["embed.weight"][6, 2]
    for _ in range(3):
        page.keyboard.press("+")
    settled(page, rowStep=1)
    page.keyboard.press("Shift+ArrowDown")
    page.wait_for_function("() => !document.querySelector('#heat-value').innerText.endsWith('…')")
    place, value = page.inner_text("#heat-value").split(" = ")
    row, column = (int(n) for n in place[1:-1].split(","))
    assert row > 100
    assert np.float32(value) == state["embed.weight"][row, column]


def test_quantized_blocks_are_decoded(tab: Tab, files: dict[str, Path]) -> None:
    from gguf import GGUFReader, dequantize

    name = "blk.2.ffn_up.weight"
    tensor = next(t for t in GGUFReader(files["quantized"]).tensors if t.name == name)
    check(tab.open(f"tensor/2/{name}"), dequantize(tensor.data, tensor.tensor_type))


def test_dark(visit: Any, view: Any, state: dict[str, Array]) -> None:
    page = visit(view, dark=True).open("tensor/0/model.layers.0.attn.q.weight")
    check(page, state["model.layers.0.attn.q.weight"], dark=True)
    page.click("#theme")  # light, in place
    page.wait_for_timeout(100)
    check(page, state["model.layers.0.attn.q.weight"])


def test_singular_values(tab: Tab, state: dict[str, Array]) -> None:
    page = tab.open("tensor/0/model.layers.0.attn.q.weight")
    page.click("text=Compute singular values")
    page.wait_for_selector("text=64 singular values of a matrix 64 × 64")
    want = np.linalg.svd(state["model.layers.0.attn.q.weight"], compute_uv=False)
    said = page.locator("figcaption", has_text="singular values").inner_text()
    assert f"from {float(f'{want[0]:.4g}')} down to" in said


def test_deep_links(tab: Tab) -> None:
    page = tab.open("tensor/0/model.layers.3.mlp.up.weight")
    assert page.inner_text("h1") == "model.layers.3.mlp.up.weight"
    page.click("text=after ›")
    page.wait_for_selector("h1:has-text('layers.4')")
    page.go_back()
    page.wait_for_selector("h1:has-text('layers.3')")
    assert page.title() == "model.layers.3.mlp.up.weight · plain.safetensors · modelglot"


def test_tied_tensors_lead_to_one_another(visit: Any, start: Any, tmp_path: Path) -> None:
    import torch

    weight = torch.ones(4, 4)
    torch.save({"embed.weight": weight, "head.weight": weight}, tmp_path / "tied.pt")
    page = visit(start(tmp_path / "tied.pt")).open("tensor/0/embed.weight")
    page.click("a.tie >> text=head.weight")
    page.wait_for_selector("h1:has-text('head.weight')")
    assert page.inner_text("a.tie") == "embed.weight"
