"""``python -m fuzz [FORMAT ...] [--runs N] [--seconds N]``: each reader in a process of its own, under atheris.

A reader may answer with an error of ours; another exception, more than a second or 512 MB is a crash, kept with the
corpus in ``fuzz/work/FORMAT``. Turn a crash into a row of tests/hostile before it is mended.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from fuzz import FILES, FOLDERS

WORK = Path(__file__).parent / "work"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz")
    parser.add_argument("formats", nargs="*", default=FILES + FOLDERS)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=int, default=0, help="stop each after so long")
    given = parser.parse_args()
    failed = []
    for name in given.formats:
        corpus = WORK / name / "corpus"
        corpus.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "fuzz.seeds", name, str(corpus)], check=True)
        done = subprocess.run(
            [sys.executable, "-m", "fuzz.one", name, str(corpus), f"-runs={given.runs}",
             f"-max_total_time={given.seconds}", "-timeout=1", "-rss_limit_mb=512", "-max_len=65536",
             "-print_final_stats=1", f"-artifact_prefix={WORK / name}/"],
            capture_output=True, text=True, errors="replace", check=False,
        )  # fmt: skip
        stats = {k.strip(): v.strip() for k, _, v in (line.rpartition(":") for line in done.stderr.splitlines())}
        count, memory = (stats.get(f"stat::{key}", "?") for key in ("number_of_executed_units", "peak_rss_mb"))
        print(f"{name}: {count} inputs, {memory} MB, {'ok' if not done.returncode else 'CRASHED'}", flush=True)
        if done.returncode:
            failed.append(name)
            print(done.stderr[-3000:])
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
