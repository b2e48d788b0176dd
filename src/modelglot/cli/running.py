"""What every writing verb does: plan, say what will happen, execute with a progress bar, say what was written."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

import click

from modelglot.api.executing import executor as named
from modelglot.api.finishing import finish
from modelglot.api.receipts import check_place, write_receipt
from modelglot.api.target import Target
from modelglot.cli.options import executor_options, print_json
from modelglot.core.errors import printable
from modelglot.core.notes import Loss
from modelglot.engine.execute import Receipt
from modelglot.engine.plan import Plan
from modelglot.engine.run import Progress
from modelglot.report.lines import Line, colourful, line, plural, size, write

_BAR_FROM = 64 << 20  # bytes; shorter work is over before a bar is read
F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--allow-loss", metavar="KIND,...", default="", help="Go on without what the target cannot hold."),
    click.option("--dry-run", is_flag=True, help="Show the route, bytes and losses; write nothing."),
    click.option("--resume", is_flag=True, help="Go on with a conversion that was killed."),
    click.option("--force", is_flag=True, help="Replace existing files."),
    click.option("--receipt", metavar="FILE", help="Write digests of all files and tensors there, for `verify`."),
    click.option("--no-verify", is_flag=True, help="Do not read the result back."),
    click.option(
        "--threads", type=click.IntRange(min=1), help="Worker threads (default: cores, at most 4; 4 for a URL)."
    ),
    executor_options,
)


def run_options(function: F) -> F:
    """The options that `run_plan` takes."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def run_plan(
    make: Callable[..., tuple[Plan, Target]],
    *arguments: Any,
    allow_loss: str,
    dry_run: bool,
    resume: bool,
    force: bool,
    no_verify: bool,
    threads: int | None,
    executor: str,
    address: str | None,
    as_json: bool,
    receipt: str | None = None,
    **choices: Any,
) -> int:
    """Exit code of a writing verb; ``make`` gets the other options and says what to do."""
    if receipt is not None:
        check_place(receipt)
    allowed = [kind.strip() for kind in allow_loss.split(",") if kind.strip()]
    made, place = make(*arguments, allow_loss=allowed, **choices)
    if dry_run:
        if as_json:
            print_json(made.document())
        else:
            would = f"would write {plural(len(made.layout.files), 'file')}, {size(made.nbytes)}"
            write([*_plan_lines(made), line(would)])
        return 0
    if not as_json:
        write(_plan_lines(made), sys.stderr)
    began = time.monotonic()
    with ExitStack() as stack:
        given: dict[str, Any] = {"force": force, "resume": resume, "threads": threads, "verify": not no_verify}
        if executor != "threads" or address is not None:
            given["executor"] = stack.enter_context(named(executor, jobs=threads, address=address))
        done = finish(made, place, on_event=stack.enter_context(_progress(made)), **given)
    if receipt is not None:
        write_receipt(done, receipt)
    if as_json:
        print_json(done.document() | ({"check": place.check.said} if place.check else {}))
    else:
        write((line(("warning: ", "yellow"), note.text) for note in done.notes), sys.stderr)
        write([_receipt_line(done, place, time.monotonic() - began)])
        write((line(said) for said in (place.check.said if place.check else ())), sys.stderr)
    return 0


def _receipt_line(receipt: Receipt, place: Target, seconds: float) -> Line:
    resumed = f", {plural(receipt.resumed, 'tensor')} already done" if receipt.resumed else ""
    sent = "sent with checksums, not read back" if receipt.sent else "not read back"
    checked = "read back and equal" if receipt.verified else sent
    where = receipt.outputs[-1] if len(receipt.outputs) == 1 else place.path
    files, tensors = plural(len(receipt.outputs), "file"), plural(len(receipt.plan.steps), "tensor")
    text = f": {tensors}, {size(receipt.nbytes)}, {files}, {checked}{resumed} ({seconds:.1f} s)"
    return line("wrote ", (printable(where), "bold"), text)


def _plan_lines(made: Plan) -> Iterator[Line]:
    yield line("route: ", " -> ".join(made.route))
    for note in made.notes:
        if note.level == "warning":
            yield line(("warning: ", "yellow"), printable(note.text, limit=500))
    yield from (_loss_line(loss) for loss in made.losses)


def _loss_line(loss: Loss) -> Line:
    hint = f" ({loss.hint})" if loss.hint and not loss.stops else ""
    implied = loss.kind in ("component", "training-state", "side-files", "python-object", "graph")
    label = "left out: " if implied else "loss: " if loss.stops else "note: "
    return line((label, "yellow"), printable(loss.what, limit=500), hint)


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

    tensor = TextColumn("{task.description}")
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn(), tensor)
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)

        def show(event: Progress) -> None:
            bar.update(task, completed=event.done, description=printable(event.tensor, limit=40).replace("[", "\\["))

        yield show
