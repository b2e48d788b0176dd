"""modelglot pack"""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import Any

import click

from modelglot.api.packing import TARGETS, make_pack_plan
from modelglot.api.target import Target
from modelglot.cli.errors import NO
from modelglot.cli.options import from_option, json_option, limit_option
from modelglot.cli.running import run_options, run_plan
from modelglot.core.errors import UnsupportedError, printable
from modelglot.core.notes import Note
from modelglot.engine.plan import Plan
from modelglot.report.lines import line, write

_SAID = ("template", "system")


@click.command("pack")
@click.argument("target", metavar="RUNTIME")
@click.argument("source")
@click.argument("out", metavar="FOLDER")
@click.option("--quantize", metavar="TYPE", help="Quantize on the way: q4_k_m, q8_0 and so on.")
@click.option("--create", metavar="NAME", help="Then build it as NAME with `ollama create` (ollama only).")
@from_option
@run_options
@limit_option
@json_option
def pack_command(target: str, source: str, out: str, create: str | None, **choices: Any) -> int:
    """Make FOLDER from SOURCE (a GGUF file or a Hugging Face folder) as RUNTIME takes it.

    RUNTIME is one of ollama, llama.cpp, llm-farm, transformers.
    """
    _check_create(target, create)
    notes: list[Note] = []

    def make(*arguments: str, **more: Any) -> tuple[Plan, Target]:
        made, place = make_pack_plan(*arguments, **more)
        notes.extend(made.notes)
        return made, place

    code = run_plan(make, target, source, out, **choices)
    if not choices["as_json"]:
        said = [printable(n.text, limit=500) for n in notes if n.code in _SAID and n.level == "info"]
        write((line(("note: ", "dim"), text) for text in said), sys.stderr)
        after = [n.text for n in notes if n.code == "next"]
        write((line(("next: ", "bold"), printable(text, limit=500)) for text in after if not create), sys.stderr)
    if code == 0 and create and not choices["dry_run"]:
        return _create(create, out)
    return code


def _check_create(target: str, name: str | None) -> None:
    """Before any work: what `--create` needs."""
    if name is None:
        return
    if target != "ollama":
        known = ", ".join(t for t in TARGETS if t != "ollama")
        raise UnsupportedError("`--create` builds a model in Ollama", hint=f"leave it out for {known}")
    if shutil.which("ollama") is None:
        raise UnsupportedError(
            "`ollama` is not installed here", hint="leave `--create` out, and run `ollama create` where it is"
        )


def _create(name: str, out: str) -> int:
    """`ollama create` on the Modelfile; its own words go to stderr."""
    command = ["ollama", "create", name, "-f", f"{out.rstrip('/')}/Modelfile"]
    write([line("running ", (" ".join(command), "bold"))], sys.stderr)
    done = subprocess.run(command, stdout=sys.stderr.fileno(), check=False)
    return NO if done.returncode else 0
