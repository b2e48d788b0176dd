"""Transcripts: each ``console`` block of the .md files here is run and must print exactly what stands there.

``$ command`` starts a command; its stdout follows, then ``--- stderr`` with what it says, then ``--- exit N`` where N
is not 0. ``[...]`` stands for anything in a line. ``UPDATE_TRANSCRIPTS=1`` writes the files anew: read the diff.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import fixtures
import pytest

HERE = Path(__file__).parent
FILES = sorted(HERE.glob("*.md"))
BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
VARIES = (
    (re.compile(r"\(\d+\.\d s\)"), "([...] s)"),
    (re.compile(r"(?<=  )[0-9a-f]{64}|^[0-9a-f]{64}", re.MULTILINE), "[...]"),
)


def run(command: str, folder: Path) -> str:
    words = shlex.split(command)
    env = {**os.environ, "NO_COLOR": "1", "COLUMNS": "100"}
    if words[0] != "modelglot" or "|" in words:
        ours = f"{shlex.quote(sys.executable)} -m modelglot"
        shell = f'modelglot() {{ {ours} "$@"; }}\n{command}'
        done = subprocess.run(["sh", "-c", shell], cwd=folder, capture_output=True, text=True, env=env)
    else:
        done = subprocess.run(
            [sys.executable, "-m", "modelglot", *words[1:]], cwd=folder, capture_output=True, text=True, env=env
        )
    out = f"$ {command}\n{done.stdout}"
    if done.stderr:
        out += f"--- stderr\n{done.stderr}"
    if done.returncode:
        out += f"--- exit {done.returncode}\n"
    return out


def commands(block: str) -> list[str]:
    return [line[2:] for line in block.split("\n") if line.startswith("$ ")]


def fits(wanted: str, found: str) -> bool:
    pattern = re.escape(wanted).replace(re.escape("[...]"), "[^\n]*")
    return re.fullmatch(pattern, found) is not None


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_transcript(path: Path, tmp_path: Path) -> None:
    fixtures.make(tmp_path)
    text = path.read_text()
    made = text
    for block in BLOCK.findall(text):
        found = "".join(run(c, tmp_path) for c in commands(block))
        if os.environ.get("UPDATE_TRANSCRIPTS"):
            for pattern, shown in VARIES:
                found = pattern.sub(shown, found)
            made = made.replace(f"```console\n{block}```", f"```console\n{found}```")
        else:
            assert fits(block, found), f"wanted:\n{block}\nfound:\n{found}"
    if os.environ.get("UPDATE_TRANSCRIPTS"):
        path.write_text(made)


def test_there_are_transcripts() -> None:
    assert len(FILES) >= 5
