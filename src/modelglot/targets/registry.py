"""All runtimes: a table of strings, imported when one is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from modelglot.core.errors import UnsupportedError, printable
from modelglot.targets.report import CheckReport
from modelglot.targets.subject import Subject

TARGETS = {
    "ollama": "ollama",
    "llama.cpp": "llama_cpp",
    "transformers": "transformers",
    "llm-farm": "llm_farm",
    "onnxruntime-genai": "onnxruntime_genai",
}


def get(name: str) -> Any:
    """The module of a runtime: TITLE and ``check(subject)``. Raises UnsupportedError naming the known ones."""
    if name not in TARGETS:
        raise UnsupportedError(
            f"there is no runtime {printable(name, code=True)}", hint=f"known ones: {', '.join(TARGETS)}"
        )
    return import_module(f"modelglot.targets.{TARGETS[name]}")


def check(name: str, subject: Subject) -> CheckReport:
    """Blockers first."""
    target = get(name)
    found = sorted(target.check(subject), key=lambda o: o.level != "blocker")
    return CheckReport(subject.path, name, target.TITLE, tuple(dict.fromkeys(found)))
