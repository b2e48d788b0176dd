"""Starting a worker and getting its answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from modelglot.core.errors import LimitError, MissingExtraError, UnsupportedError, printable
from modelglot.graphs.workers.job import ERROR, RESULT

SECONDS = 1800
_MISSING = ("ModuleNotFoundError", "ImportError")


def call(
    worker: str, job: dict[str, Any], folder: str, *, extra: str, python: str | None = None, said: str = "the exporter"
) -> dict[str, Any]:
    """The result of ``modelglot.graphs.workers.<worker>``, run in a process of its own.

    ``python`` is another interpreter, one that has the framework. Raises MissingExtraError where a library is not there
    (``extra`` is what brings it), UnsupportedError with the worker's own words, LimitError after half an hour.
    """
    path = os.path.join(folder, "job.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(job, file)
    environment = {
        **os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0", "CUDA_VISIBLE_DEVICES": "",
        "PYTHONPATH": os.pathsep.join(filter(None, [_root(), os.environ.get("PYTHONPATH", "")])),
        "KERAS_BACKEND": "tensorflow", "HF_HUB_OFFLINE": os.environ.get("HF_HUB_OFFLINE", "1"),
    }  # fmt: skip
    command = [python or sys.executable, "-m", f"modelglot.graphs.workers.{worker}", path]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=SECONDS, env=environment, check=False
        )
    except subprocess.TimeoutExpired:
        raise LimitError(f"the {worker} worker took more than {SECONDS:,} seconds") from None
    except OSError as error:
        raise UnsupportedError(f"cannot start {printable(command[0], code=True)}: {error.strerror}") from None
    try:
        with open(os.path.join(folder, RESULT), encoding="utf-8") as file:
            result: dict[str, Any] = json.load(file)
    except (OSError, ValueError):
        raise UnsupportedError(f"the {worker} worker ended without an answer", detail=_tail(done.stderr)) from None
    if ERROR in result:
        text = str(result[ERROR])
        if text.startswith(_MISSING):
            raise MissingExtraError(printable(text, limit=300), hint=f"pip install 'modelglot[{extra}]'")
        raise UnsupportedError(f"{said} says: {printable(text.splitlines()[0], limit=300)}", detail=_more(text))
    return result


def _root() -> str:
    """Where our own package lies, for an interpreter that may not have it."""
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def _more(text: str) -> str | None:
    lines = [printable(line.strip(), limit=200) for line in text.splitlines()[1:6] if line.strip()]
    return "\n  ".join(lines) or None


def _tail(text: str) -> str | None:
    lines = [printable(line.strip(), limit=200) for line in text.splitlines() if line.strip()]
    return "\n  ".join(lines[-4:]) or None
