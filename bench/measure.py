"""Whole commands, timed from outside: wall and CPU seconds, and peak resident memory as the kernel accounts it."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

PYTHON = sys.executable


@dataclass(frozen=True)
class Run:
    """One run of one process: seconds, seconds of CPU, bytes."""

    wall: float
    cpu: float
    peak: int


def run(command: list[str]) -> Run:
    """Run a command to its end; its output is thrown away. Raises RuntimeError where it fails."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=_environment())
    error = process.stderr.read() if process.stderr else b""
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command}: exit {process.returncode}: {error.decode()[-500:]}")
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def _environment() -> dict[str, str]:
    """As a user has it: compiled bytecode is kept, so that both sides start as on the second day."""
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


def pairs(ours: list[str], theirs: list[str], *, runs: int = 5, before: Callable[[], None] = lambda: None) -> dict:
    """Both in turn, ``runs`` times after one warm-up; the ratio is theirs / ours, pair by pair, median."""
    mine, other = [], []
    for number in range(runs + 1):
        before()
        a = run(ours)
        before()
        b = run(theirs)
        if number:
            mine.append(a)
            other.append(b)
    ratios = [b.wall / a.wall for a, b in zip(mine, other, strict=True)]
    return {
        "ratio": round(statistics.median(ratios), 2), "ratio_min": round(min(ratios), 2),
        "ratio_max": round(max(ratios), 2), "ours": summary(mine), "peer": summary(other),
    }  # fmt: skip


def summary(runs: list[Run]) -> dict:
    return {
        "wall_s": round(statistics.median(r.wall for r in runs), 3),
        "cpu_s": round(statistics.median(r.cpu for r in runs), 3),
        "peak_mb": round(max(r.peak for r in runs) / 1e6, 1), "runs": len(runs),
    }  # fmt: skip


def machine() -> dict:
    return {
        "cpus": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d"),
    }


def modelglot(*arguments: str) -> list[str]:
    return [PYTHON, "-m", "modelglot", *arguments]
