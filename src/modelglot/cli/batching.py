"""modelglot batch"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator

import click

from modelglot.api.batching import OUTCOMES, Outcome, Summary, batch
from modelglot.api.target import to_bytes
from modelglot.cli.errors import NO
from modelglot.cli.options import executor_options, json_option, print_json
from modelglot.core.errors import printable
from modelglot.report.lines import Line, line, plural, size, write
from modelglot.report.prometheus import Metric, write_metrics

_STYLES = {"done": "green", "skipped": "dim", "failed": "red", "blocked": "yellow"}


@click.command("batch")
@click.argument("table", metavar="JOBS.toml")
@executor_options
@click.option("--jobs", type=click.IntRange(min=1), help="Jobs at a time (default: 2 threads; what a cluster takes).")
@click.option("--max-bytes", default="64GB", show_default=True, metavar="SIZE",
              help="Inputs of jobs that run at a time; a larger one runs alone.")  # fmt: skip
@click.option("--retries", type=click.IntRange(min=0), default=0, show_default=True,
              help="Try again what a moment may change, such as a file that could not be opened.")  # fmt: skip
@click.option("--again", is_flag=True, help="Run also what was done before.")
@click.option("--metrics", metavar="FILE", help="Write numbers of the run for Prometheus (textfile collector).")
@json_option
def batch_command(
    table: str,
    executor: str,
    address: str | None,
    jobs: int | None,
    max_bytes: str,
    retries: int,
    again: bool,
    metrics: str | None,
    as_json: bool,
) -> int:
    """Run a table of jobs. What is done already and has not changed is skipped. Exit code 1 where a job failed."""
    most = to_bytes(max_bytes) or 0

    def show(found: Outcome) -> None:
        if as_json:
            print_json({"schema": "modelglot.batch-job/1", **found.document()})
        else:
            write(_lines(found))
        sys.stdout.flush()

    summary = batch(table, executor=executor, address=address, jobs=jobs, most_bytes=most, retries=retries,
                    again=again, on_event=show)  # fmt: skip
    if as_json:
        counts = {name: summary.count(name) for name in OUTCOMES}
        print_json({"schema": "modelglot.batch/1", "jobs": len(summary.outcomes), **counts,
                    "seconds": round(summary.seconds, 3)})  # fmt: skip
    else:
        parts = [f"{summary.count(name):,} {name}" for name in OUTCOMES if summary.count(name)]
        write([line(f"{plural(len(summary.outcomes), 'job')}: {', '.join(parts)} ({summary.seconds:.1f} s)")])
    if metrics is not None:
        _write_metrics(summary, os.path.basename(table), metrics)
    return 0 if summary.ok else NO


def _lines(found: Outcome) -> Iterator[Line]:
    took = f"  ({size(found.nbytes)}, {found.seconds:.1f} s)" if found.attempts else ""
    tries = f"  after {plural(found.attempts, 'attempt')}" if found.attempts > 1 else ""
    yield line((f"{found.outcome}: ", _STYLES[found.outcome]), (printable(found.job.name), "bold"), took, tries)
    if found.error is not None:
        where = found.error.get("path")
        place = f"{printable(where, code=True)}: " if where else ""
        yield line("  ", place, printable(str(found.error["what"]), limit=500))
        if found.error.get("hint"):
            yield line("  hint: ", printable(str(found.error["hint"]), limit=500))


def _write_metrics(summary: Summary, name: str, path: str) -> None:
    labels = (("batch", name),)
    metrics = [
        Metric("modelglot_batch_jobs", "Jobs of the last run by what came of them.",
               {(*labels, ("outcome", o)): summary.count(o) for o in OUTCOMES}),
        Metric("modelglot_batch_input_bytes", "Bytes of the inputs of jobs that ran.",
               {labels: sum(o.nbytes for o in summary.outcomes)}),
        Metric("modelglot_batch_duration_seconds", "How long the last run took.", {labels: summary.seconds}),
        Metric("modelglot_batch_end_timestamp_seconds", "When the last run ended.", {labels: time.time()}),
    ]  # fmt: skip
    write_metrics(metrics, path)
