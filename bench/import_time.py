"""`import modelglot` against `import json`, whole commands."""

from __future__ import annotations

from collections.abc import Iterator

from bench.measure import PYTHON, pairs


def run() -> Iterator[dict]:
    row = pairs([PYTHON, "-c", "import modelglot"], [PYTHON, "-c", "import json"], runs=25)
    times = 1 / row["ratio"]
    yield {
        "case": "import modelglot against import json",
        **row,
        "ok": times <= 3,
        "measured": f"{times:.2f} times as long",
        "bar": "<= 3 times",
    }
