"""One browser, and `modelglot view` as it is started by people, for all tests of the page."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from . import models

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

REQUIRED = "MODELGLOT_REQUIRE_ORACLES" in os.environ  # then it has to be there
if REQUIRED:
    import playwright.sync_api as sync_api
else:
    sync_api = pytest.importorskip("playwright.sync_api")
WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 360, "height": 740}


class View:
    """A running `modelglot view`; ``at`` gives addresses in its page."""

    def __init__(self, *paths: Path) -> None:
        command = [sys.executable, "-m", "modelglot", "view", "--port", "0", "--no-browser", *map(str, paths)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        assert self.address.startswith("http://127.0.0.1:")

    def at(self, place: str = "") -> str:
        return f"{self.address}#{place}" if place else self.address

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)


class Tab:
    """A page that remembers what it complained of, and each address it asked for."""

    def __init__(self, page: Page, view: View) -> None:
        self.page, self.view = page, view
        self.problems: list[str] = []
        self.asked: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.problems.append(f"{error}"))
        page.on("request", lambda request: self.asked.append(request.url))
        page.set_default_timeout(15_000)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and "willReadFrequently" not in message.text:  # the tests' own reading
            self.problems.append(f"{message.text} ({message.location})")

    def open(self, place: str = "") -> Page:
        """A fresh visit to a place, drawn."""
        self.page.goto("about:blank")
        self.page.goto(self.view.at(place))
        self.page.wait_for_selector("main > .view, main .problem")
        return self.page


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    from .chromium import find

    path = find()
    if path is None:
        assert not REQUIRED, "no Chromium here, and none could be installed"
        pytest.skip("no Chromium here, and none could be installed: the page was not tested")
    with sync_api.sync_playwright() as play:
        yield (running := play.chromium.launch(executable_path=path, args=["--no-sandbox"]))
        running.close()


@pytest.fixture(scope="session")
def start() -> Iterator[Callable[..., View]]:
    running: list[View] = []

    def one(*paths: Path) -> View:
        running.append(View(*paths))
        return running[-1]

    yield one
    for view in running:
        view.stop()


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return models.family(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def view(start: Callable[..., View], files: dict[str, Path]) -> View:
    return start(*files.values())


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Tab]]:
    """Opens tabs; in the end none of them may have complained, or asked anybody but its server."""
    tabs: list[Tab] = []

    def one(view: View, *, phone: bool = False, dark: bool = False) -> Tab:
        size: Any = PHONE if phone else WIDE
        context = browser.new_context(
            viewport=size, color_scheme="dark" if dark else "light", reduced_motion="reduce", has_touch=phone
        )
        tabs.append(Tab(context.new_page(), view))
        return tabs[-1]

    yield one
    for tab in tabs:
        tab.page.context.close()
    for tab in tabs:
        assert tab.problems == []
        strangers = [url for url in tab.asked if not url.startswith((tab.view.address, "about:", "data:", "blob:"))]
        assert strangers == []


@pytest.fixture
def tab(visit: Callable[..., Tab], view: View) -> Tab:
    return visit(view)


PLACES = {name: number for number, name in enumerate(("plain", "original", "quantized", "graph", "hostile"))}
