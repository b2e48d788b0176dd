"""Files elsewhere: what `inspect` asks of a file of 8 GB, and conversions from a web server against curl.

Files are made and served by other processes: a child begins with the memory of its parent as its peak.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from bench.measure import PYTHON, pairs
from bench.measure import run as measured
from bench.models import WORK, settle

ROOT = Path(__file__).parents[1]
FILES = {"m.safetensors": "large_safetensors", "m.gguf": "large_gguf", "m.onnx": "large_onnx", "m.pt": "large_torch"}
MAKE = "import sys; from pathlib import Path; from tests.remote import test_models as m; print({}(Path(sys.argv[1])))"
PLAIN = """
import sys
import modelglot, numpy as np
rng, rows, count = np.random.default_rng(0), int(sys.argv[2]), int(sys.argv[3])
state = {f"layers.{n}.w": rng.integers(0, 1 << 16, (rows, 4096), np.uint16).view(np.float16) for n in range(count)}
modelglot.save(state, sys.argv[1] + "/a.safetensors", force=True)
"""
CURLED = (
    (2048, 64, "from a server on this machine", ()),
    (12, 10_923, "50 ms away on a line of 1 Gbit/s", ("0.05", "125e6")),
)
SERVE = """
import json, sys
from pathlib import Path
from tests.remote.server import Server
server = Server(Path(sys.argv[1]))
print(server.url, flush=True)
sys.stdin.readline()
print(json.dumps([len(server.requests), server.sent]), flush=True)
"""


class Served:
    """The server of a folder, as a process; `counts` ends it and gives its requests and the bytes it sent."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [PYTHON, "-c", SERVE, str(folder)], cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.url = self._line()

    def _line(self) -> str:
        return self.process.stdout.readline().strip() if self.process.stdout else ""

    def counts(self) -> tuple[int, int]:
        if self.process.stdin:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        count, sent = json.loads(self._line())
        self.process.wait()
        return count, sent


def run() -> Iterator[dict]:
    folder = WORK / "remote"
    for name, make in FILES.items():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        code = MAKE.format(f"m.{make}")
        made = subprocess.run([PYTHON, "-c", code, str(folder)], cwd=ROOT, capture_output=True, text=True, check=True)
        yield _asked(folder, name, int(made.stdout.split()[-1]))
    for rows, count, what, line in CURLED:
        shutil.rmtree(folder)
        folder.mkdir()
        subprocess.run([PYTHON, "-c", PLAIN, str(folder), str(rows), str(count)], check=True)
        yield _against_curl(folder, f"1 GB in {count:,} tensors, {what}, against curl and sync", line)
    shutil.rmtree(folder)


def _asked(folder: Path, name: str, header: int) -> dict:
    server = Served(folder)
    found = measured([PYTHON, "-m", "modelglot", "inspect", f"{server.url}/{name}"])
    count, sent = server.counts()
    peak = found.peak / 1e6
    return {
        "case": f"inspect {name} over HTTP", "requests": count, "bytes": sent, "header": header,
        "peak_mb": round(peak, 1), "wall_s": round(found.wall, 2),
        "ok": count <= 6 and sent <= header + (256 << 10) and peak <= 64,
        "measured": f"{count} requests, {sent:,} bytes (header {header:,}), {peak:.0f} MB",
        "bar": "<= 6 requests, <= header + 256 KB, <= 64 MB",
    }  # fmt: skip


def _against_curl(folder: Path, case: str, line: tuple[str, ...]) -> dict:
    command = [PYTHON, "-m", "bench.remote_server", str(folder), *line]
    with subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout
        url = f"{server.stdout.readline().strip()}/a.safetensors"
        ours = [PYTHON, "-m", "modelglot", "convert", "--force", url, str(folder / "b.safetensors")]
        theirs = ["sh", "-c", f"curl -s -o {folder / 'c.safetensors'} {url} && sync {folder / 'c.safetensors'}"]

        def before() -> None:
            settle(folder / "b.safetensors")
            settle(folder / "c.safetensors")

        row = pairs(ours, theirs, runs=3 if line else 7, before=before)
        server.communicate("\n")
    peak = row["ours"]["peak_mb"]
    return {
        "case": case, **row, "ok": row["ratio"] >= 0.9 and peak <= 128,
        "measured": f"{row['ratio']} times as fast, read back and proven, {peak} MB", "bar": ">= 0.9, <= 128 MB",
    }  # fmt: skip
