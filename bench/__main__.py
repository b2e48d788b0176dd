"""``python -m bench [QUESTION ...]``: run the questions (all), print a row each, write ``bench/results/NAME.jsonl``."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

from bench.measure import machine

HERE = Path(__file__).parent
SKIP = {
    "__init__", "__main__", "framework_files", "measure", "models", "onnx_nodes_peer", "remote_server", "s3_server",
    "simulated",
}  # fmt: skip


def main() -> None:
    names = sys.argv[1:] or sorted(p.stem for p in HERE.glob("*.py") if p.stem not in SKIP)
    if len(names) > 1:  # a process each: what one question imports must not weigh on the next
        for name in names:
            subprocess.run([sys.executable, "-m", "bench", name], check=True)
        return
    short = []
    for name in names:
        module = import_module(f"bench.{name}")
        lines = []
        for found in module.run():
            row = {"question": name, "about": (module.__doc__ or "").split("\n")[0], **found, "machine": machine()}
            verdict = "ok   " if row["ok"] else "SHORT"
            print(f"{verdict} {row['case']}: {row['measured']} (bar: {row['bar']})", flush=True)
            lines.append(json.dumps(row) + "\n")
            if not row["ok"]:
                short.append(row["case"])
        (HERE / "results").mkdir(exist_ok=True)
        (HERE / "results" / f"{name}.jsonl").write_text("".join(lines))
    if short:
        print(f"{len(short)} bars not reached: {', '.join(short)}")


if __name__ == "__main__":
    main()
