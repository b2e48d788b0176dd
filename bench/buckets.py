"""10,000 models in a bucket that answers after 30 ms: every one inspected, a catalog from nothing and again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from bench import measure
from bench.catalog import COUNT
from bench.measure import PYTHON, modelglot
from bench.models import WORK

PAUSE = 0.03  # seconds to the first byte, as a store in the same region has it
ROOT = Path(__file__).parents[1]


class _Store:
    """The server as a process, and what was asked of it since the last time."""

    def __init__(self, folder: Path, pause: float = PAUSE) -> None:
        command = [PYTHON, "-m", "bench.s3_server", str(folder), str(pause)]
        self.process = subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        os.environ |= {
            "AWS_ENDPOINT_URL": self._line(), "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
        }  # fmt: skip

    def _line(self) -> str:
        return self.process.stdout.readline().strip() if self.process.stdout else ""

    def asked(self) -> tuple[int, int, int]:
        """Listings, other requests, bytes."""
        if self.process.stdin:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        listings, others, sent = json.loads(self._line())
        return listings, others, sent

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def run(count: int = COUNT) -> Iterator[dict]:
    root, catalog = WORK / "bucket", WORK / "catalog.parquet"
    shutil.rmtree(root, ignore_errors=True)
    catalog.unlink(missing_ok=True)
    code = f"from pathlib import Path; from bench.catalog import make; make(Path({str(root)!r}), {count})"
    subprocess.run(
        [PYTHON, "-c", code], cwd=ROOT, check=True
    )  # a child begins with the memory of its parent as its peak
    store = _Store(root)
    build = modelglot("catalog", "build", "s3://bucket", "-o", str(catalog), "--no-digest", "--jobs", "2")
    try:
        found = measure.run(modelglot("inspect", "s3://bucket/**", "--json"))
        yield _row(f"inspect of {count:,} models", found, store, count, 60)
        found = measure.run(build)
        yield _row(f"catalog of {count:,} models, without digests", found, store, count, 120)
        found = measure.run(build)
        yield _row("the same again, nothing changed", found, store, count, 5, listings_only=True)
    finally:
        store.close()
        shutil.rmtree(root)
        catalog.unlink(missing_ok=True)


def _row(case: str, found: measure.Run, store: _Store, count: int, bar: float, *, listings_only: bool = False) -> dict:
    listings, others, sent = store.asked()
    ok = found.wall <= bar and (others == 0 if listings_only else others <= 5 * count)
    said = f"{found.wall:.1f} s ({found.cpu:.1f} s of CPU), {listings} listings, {others:,} other requests, "
    return {
        "case": case, "load": round(os.getloadavg()[0], 1), "ok": ok,
        "measured": f"{said}{sent / 1e6:.0f} MB, {found.peak / 1e6:.0f} MB of memory",
        "bar": f"<= {bar} s, {'listings only' if listings_only else '<= 5 requests a model'}",
    }  # fmt: skip
