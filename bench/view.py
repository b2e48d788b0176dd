"""`view` and Netron in the same warm Chromium: from the start of the command to the first paint, and to the first fact.

Seconds. Netron is the `netron` package's own server. The first fact is the number of parameters for us and the first
node for Netron; what it does not show within a minute has none. Then the memory of our server after some visits.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.measure import PYTHON, _environment
from bench.models import WORK

REAL = Path.home() / ".cache/modelglot/real_models"
MAKE = """
import sys, modelglot, numpy as np
state = {f"layers.{n}.weight": np.full((2048, 4096), n, np.float16) for n in range(125)}
modelglot.save(state, sys.argv[1], force=True)
"""
NETRON = """
import sys, netron
host, port = netron.start(sys.argv[1], browse=False)
print(f"http://{host}:{port}", flush=True)
netron.wait()
"""
MOST = 60  # seconds


def run() -> Iterator[dict]:
    from playwright.sync_api import sync_playwright
    from tests.browser.chromium import find

    large = WORK / "large.safetensors"
    WORK.mkdir(parents=True, exist_ok=True)
    subprocess.run([PYTHON, "-c", MAKE, str(large)], check=True)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=find(), args=["--no-sandbox"])
        browser.new_page().goto("about:blank")
        for name, path in {"2 GB safetensors": large, **_real()}.items():
            ours = _ours(browser, path)
            theirs = _netron(browser, path)
            large_one = path is large
            yield {
                "case": name, "bytes": path.stat().st_size, "ours": ours, "netron": theirs,
                "ok": ours["painted"] <= 1.5 if large_one else ours["shown"] is not None,
                "measured": f"first paint {ours['painted']} s, shown {ours['shown']} s; Netron {theirs['painted']} s, "
                f"{theirs['shown'] or 'not shown'}", "bar": "first paint of the 2 GB file <= 1.5 s",
            }  # fmt: skip
        yield _memory(browser, large)
        browser.close()
    large.unlink()


def _real() -> dict[str, Path]:
    wanted = {
        "GGUF, SmolLM2": "*/*/SmolLM2*.gguf", "ONNX": "basic-pitch-4fmt/**/nmp.onnx", "Keras": "**/*.keras",
        "TFLite": "basic-pitch-4fmt/**/nmp.tflite", "PyTorch": "facenet-mtcnn-pt/**/pnet.pt",
    }  # fmt: skip
    found = {name: next(iter(sorted(REAL.glob(pattern))), None) for name, pattern in wanted.items()}
    return {name: path for name, path in found.items() if path is not None}


def _ours(browser: Any, path: Path) -> dict:
    command = [PYTHON, "-m", "modelglot", "view", "--no-browser", str(path)]
    return _timed(browser, command, lambda page: page.get_by_text("parameters").first)


def _netron(browser: Any, path: Path) -> dict:
    return _timed(browser, [PYTHON, "-c", NETRON, str(path)], lambda page: page.locator(".node").first)


def _timed(browser: Any, command: list[str], shown: Callable[[Any], Any]) -> dict:
    """Seconds from the start of the command."""
    context = browser.new_context()
    page = context.new_page()
    began = time.time()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=_environment()
    )
    try:
        line = ""
        while "http://" not in line:
            line = process.stdout.readline() if process.stdout else ""
        page.goto("http://" + line.strip().partition("http://")[2])
        first = page.wait_for_function("performance.getEntriesByName('first-contentful-paint')[0]").json_value()
        painted = page.evaluate("performance.timeOrigin") / 1000 + first["startTime"] / 1000 - began
        try:
            shown(page).wait_for(state="attached", timeout=MOST * 1000)
            seen: float | None = round(time.time() - began, 2)
        except Exception:  # Playwright's own timeout
            seen = None
    finally:
        process.terminate()
        process.wait()
        context.close()
    return {"painted": round(painted, 2), "shown": seen}


def _start(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=_environment())


def _memory(browser: Any, path: Path) -> dict:
    process = _start([PYTHON, "-m", "modelglot", "view", "--no-browser", str(path)])
    url = process.stdout.readline().strip() if process.stdout else ""
    page = browser.new_page()
    tensor = "layers.60.weight"
    for place in ("", "tensors/0", f"tensor/0/{tensor}", "metadata/0"):
        page.goto("about:blank")
        page.goto(f"{url}#{place}")
        page.wait_for_timeout(2500)
    for number in range(20):
        page.evaluate(f"fetch('api/stats/0?name=layers.{number}.weight').then(r => r.json())")
    page.evaluate(f"fetch('api/spectrum/0?name={tensor}').then(r => r.json())")
    status = Path(f"/proc/{process.pid}/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0]) / 1000
    process.terminate()
    process.wait()
    page.close()
    return {
        "case": "memory of the server after a visit to the 2 GB file", "peak_mb": round(peak, 1), "ok": peak <= 128,
        "measured": f"{peak:.0f} MB, with 20 histograms and one spectrum", "bar": "<= 128 MB",
    }  # fmt: skip
