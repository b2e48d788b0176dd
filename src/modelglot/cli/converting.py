"""modelglot convert"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from modelglot.api.converting import finish, make_plan
from modelglot.cli.options import (
    component_option,
    exclude_option,
    from_option,
    include_option,
    json_option,
    limit_option,
    print_json,
)
from modelglot.core.errors import printable
from modelglot.core.limits import Limits
from modelglot.core.notes import Loss
from modelglot.engine.execute import Progress
from modelglot.engine.plan import Plan
from modelglot.report.lines import Line, colourful, line, plural, size, write

_BAR_FROM = 64 << 20  # bytes; shorter work is over before a bar is read


def _rules(_c: Any, _p: Any, texts: tuple[str, ...]) -> list[tuple[str, str]]:
    pairs = [text.partition("=") for text in texts]
    for pattern, equals, _ in pairs:
        if not equals or not pattern:
            raise click.BadParameter("write REGEX=REPLACEMENT, such as '^model\\.='")
    return [(pattern, replacement) for pattern, _, replacement in pairs]


def _settings(_c: Any, _p: Any, texts: tuple[str, ...]) -> dict[str, str]:
    return dict(text.partition("=")[::2] for text in texts)


@click.command("convert")
@click.argument("source")
@click.argument("target")
@click.option("--to", metavar="FORMAT", help="Format of the target; otherwise its suffix tells.")
@from_option
@click.option("--dtype", multiple=True, metavar="[GLOB=]DTYPE", help="Cast floats: bf16, f16, f32, ...; also per glob.")
@include_option
@exclude_option
@click.option(
    "--rename",
    "rename_rules",
    multiple=True,
    callback=_rules,
    metavar="REGEX=REPL",
    help="Rename tensors, rules in order.",
)
@component_option
@click.option("--max-shard-size", metavar="SIZE", help="Split into shards of at most this size, such as 5GB.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    callback=_settings,
    metavar="KEY=VALUE",
    help="A setting of the target format, such as gguf:alignment=64.",
)
@click.option("--allow-loss", metavar="KIND,...", default="", help="Go on without what the target cannot hold.")
@click.option("--dry-run", is_flag=True, help="Show the route, bytes and losses; write nothing.")
@click.option("--resume", is_flag=True, help="Go on with a conversion that was killed.")
@click.option("--force", is_flag=True, help="Replace existing files.")
@click.option("--no-verify", is_flag=True, help="Do not read the result back.")
@click.option("--threads", type=click.IntRange(min=1), help="Worker threads (default: cores, at most 4).")
@limit_option
@json_option
def convert_command(
    source: str,
    target: str,
    dry_run: bool,
    resume: bool,
    force: bool,
    no_verify: bool,
    threads: int | None,
    allow_loss: str,
    limits: Limits,
    as_json: bool,
    **choices: Any,
) -> int:
    """Convert SOURCE (a file or a folder) to TARGET exactly, without running anything from it.

    The result is read back and compared before it appears under its name.
    """
    allowed = [kind.strip() for kind in allow_loss.split(",") if kind.strip()]
    made, place = make_plan(source, target, allow_loss=allowed, limits=limits, **choices)
    if dry_run:
        if as_json:
            print_json(made.document())
        else:
            write(
                [*_plan_lines(made), line(f"would write {plural(len(made.layout.files), 'file')}, {size(made.nbytes)}")]
            )
        return 0
    if not as_json:
        write(_plan_lines(made), sys.stderr)
    began = time.monotonic()
    with _progress(made) as on_event:
        receipt = finish(
            made, place, force=force, resume=resume, threads=threads, verify=not no_verify, on_event=on_event
        )
    if as_json:
        print_json(receipt.document())
        return 0
    seconds = time.monotonic() - began
    resumed = f", {plural(receipt.resumed, 'tensor')} already done" if receipt.resumed else ""
    checked = "read back and equal" if receipt.verified else "not read back"
    where = receipt.outputs[-1] if len(receipt.outputs) == 1 else place.path
    write(
        [
            line(
                "wrote ",
                (printable(where), "bold"),
                f": {plural(len(made.steps), 'tensor')}, {size(receipt.nbytes)}, "
                f"{plural(len(receipt.outputs), 'file')}, {checked}{resumed} ({seconds:.1f} s)",
            )
        ]
    )
    return 0


def _plan_lines(made: Plan) -> Iterator[Line]:
    yield line("route: ", " -> ".join(made.route))
    for note in made.notes:
        if note.level == "warning":
            yield line(("warning: ", "yellow"), printable(note.text, limit=500))
    yield from (_loss_line(loss) for loss in made.losses)


def _loss_line(loss: Loss) -> Line:
    hint = f" ({loss.hint})" if loss.hint and not loss.stops else ""
    return line(
        ("left out: " if loss.kind in ("component", "training-state", "side-files") else "loss: ", "yellow"),
        printable(loss.what, limit=500),
        hint,
    )


@contextmanager
def _progress(made: Plan) -> Iterator[Any]:
    """A bar on stderr for long work on a terminal: bytes, rate, time left, current tensor."""
    total = sum(s.length for s in made.steps)
    if total < _BAR_FROM or not colourful(sys.stderr):
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    columns = (
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)

        def show(event: Progress) -> None:
            bar.update(task, completed=event.done, description=printable(event.tensor, limit=40).replace("[", "\\["))

        yield show
