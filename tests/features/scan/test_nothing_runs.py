"""A scan of every hostile sample, watched: nothing that a file names is imported, run, opened or spoken to.

Samples with bytes changed: no rule fails on them.
"""

from __future__ import annotations

import importlib.util
import json
import random
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from modelglot.api.scanning import scan

WATCH = """
import sys, json, os
import modelglot.api.scanning, jinja2, jinja2.ext, subprocess, numpy
from modelglot.formats import registry
folder = sys.argv[1]
list(registry.all()) if hasattr(registry, "all") else None
seen = []
def hook(event, args):
    if event == "open" and isinstance(args[0], str):
        seen.append([event, args[0]])
    elif event == "import":
        seen.append([event, args[0]])
    elif event.startswith(("socket.", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.remove", "os.rename",
                           "os.mkdir", "os.chmod", "shutil.", "ctypes.dlopen", "pty.", "urllib.")):
        seen.append([event, repr(args)])
    elif event == "subprocess.Popen":
        seen.append([event, " ".join(map(str, args[1]))])
sys.addaudithook(hook)
report = modelglot.api.scanning.scan(folder, jobs=1)
unsafe = sum(f.verdict == "unsafe" for f in report.files)
print(json.dumps({"seen": seen, "files": len(report.files), "unsafe": unsafe}))
"""
NAMED = ("evil", "custom_st", "mine", "nemo", "speechbrain", "my_unet", "modeling_x", "p", "pipeline", "t")


def sibling(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def corpus(folder: Path) -> Path:
    """All samples of the tables here, a folder each."""
    repository, templates, graphs = (sibling(f"test_{n}") for n in ("repository", "templates", "graphs"))
    number = 0

    def place() -> Path:
        nonlocal number
        number += 1
        made = folder / f"{number:03}"
        made.mkdir(parents=True)
        return made

    for file, contents, *_ in (*repository.HOSTILE.values(), *repository.BENIGN.values()):
        repository.written(place(), file, contents)
    for text in (*templates.HOSTILE.values(), *templates.UNKNOWN.values(), *templates.BENIGN.values()):
        (place() / "chat_template.jinja").write_text(text)
    for text in list(templates.HOSTILE.values())[:3]:
        templates.gguf(place(), text)
    for layer, _ in graphs.KERAS.values():
        repository.written(place(), "config.json", graphs.sequential(layer))
    graphs.keras(place(), graphs.LAMBDA)
    graphs.keras(place(), graphs.LAMBDA, "pb")
    for name in graphs.NAMES.values():
        graphs.PLACES["subgraph"](place(), graphs.external(name))
    for op in graphs.OPERATORS:
        graphs.frozen(place(), op, True)
    for change in (graphs.with_external_storage, graphs.with_virtual, graphs.with_link):
        (place() / "a.h5").write_bytes(graphs.h5(change=change))
    for file, make, *_ in graphs.HIDDEN.values():
        where = place()
        data = make(where)
        (where / file).write_bytes(data)
    return folder


def test_nothing_is_run_or_reached(tmp_path: Path) -> None:
    folder = corpus(tmp_path / "corpus")
    command = [sys.executable, "-c", WATCH, str(folder)]
    done = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert done["files"] > 150
    assert done["unsafe"] > 100
    seen: list[list[str]] = done["seen"]
    assert [s for s in seen if s[0] not in ("open", "import", "subprocess.Popen")] == []
    assert {s[1].split(".")[0] for s in seen if s[0] == "import"} & set(NAMED) == set()
    assert {s[1].split()[2].rsplit("/", 1)[-1] for s in seen if s[0] == "subprocess.Popen"} <= {"child.py"}
    own = (str(folder), sys.prefix, sys.base_prefix, str(Path(__file__).parents[3]), "/dev/null")
    outside = {s[1] for s in seen if s[0] == "open" and s[1].startswith("/") and not s[1].startswith(own)}
    assert {path for path in outside if "/etc/passwd" in path or "/etc/other" in path or ".ssh" in path} == set()
    assert {path for path in outside if not path.endswith((".py", ".pyc", ".so"))} == set()


@pytest.mark.parametrize("seed", range(3))
def test_changed_bytes(seed: int, tmp_path: Path) -> None:
    """One or a few bytes changed, cut off, or doubled: a verdict, and no defect."""
    chance = random.Random(seed)
    files = [p for p in corpus(tmp_path / "a").rglob("*") if p.is_file() and p.suffix not in (".h5", ".keras")]
    out = tmp_path / "b"
    for number, path in enumerate(files):
        data = bytearray(path.read_bytes())
        for _ in range(chance.choice((1, 1, 3, 10)) if data else 0):
            data[chance.randrange(len(data))] = chance.choice(
                (0, 0x22, 0x2E, 0x7B, 0x7D, 0x80, 0xFF, chance.randrange(256))
            )
        if chance.random() < 0.2:
            data = data[: chance.randrange(len(data) + 1)]
        where = out / f"{number}"
        where.mkdir(parents=True)
        (where / path.name).write_bytes(data)
    report = scan(out)
    assert len(report.files) == len(files)
    assert [f for f in report.files if any("a rule failed" in x.what for x in f.findings)] == []
