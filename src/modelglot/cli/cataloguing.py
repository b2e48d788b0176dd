"""modelglot catalog build, query, duplicates"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import click

from modelglot.api.cataloguing import Built, Duplicates, Progress, build_catalog, duplicates, query_catalog
from modelglot.cli.errors import NO
from modelglot.cli.options import exclude_names_option, json_option, print_json
from modelglot.core.errors import printable
from modelglot.features.catalog.table import Answer
from modelglot.report.lines import Line, colourful, line, plural, size, write
from modelglot.report.prometheus import Metric, write_metrics

_FILE = "catalog.parquet"
_FAIL = {"unknown": ("unknown", "unsafe"), "unsafe": ("unsafe",), "error": ("errors",)}

catalog_option = click.option(
    "-c", "--catalog", default=_FILE, show_default=True, metavar="FILE", help="The catalog to ask."
)


@click.group("catalog")
def catalog_command() -> None:
    """All models of a tree as one table: build it, ask it in SQL, find duplicates."""


@catalog_command.command("build")
@click.argument("folders", nargs=-1, required=True, metavar="FOLDER...")
@click.option(
    "-o", "--output", default=_FILE, show_default=True, metavar="FILE", help="The Parquet file, here or in a store."
)
@click.option("--jobs", type=click.IntRange(min=1), help="Processes (default: cores, at most 8).")
@click.option("--no-digest", is_flag=True, help="Read headers only: nothing is told of equal weights.")
@exclude_names_option
@click.option("--fresh", is_flag=True, help="Look at everything again, whatever the file says already.")
@click.option("--force", is_flag=True, help="Replace a file that is no catalog.")
@click.option("--fail-on", type=click.Choice(list(_FAIL)), help="Exit code 1 where a model of the catalog is that.")
@click.option("--metrics", metavar="FILE", help="Write numbers of the catalog for Prometheus (textfile collector).")
@json_option
def build_command(
    folders: tuple[str, ...],
    output: str,
    jobs: int | None,
    no_digest: bool,
    exclude: tuple[str, ...],
    fresh: bool,
    force: bool,
    fail_on: str | None,
    metrics: str | None,
    as_json: bool,
) -> int:
    """One row a model below FOLDER, here or in a store (s3://bucket/models). A second run looks at what has changed."""
    began = time.monotonic()
    with _progress() as on_event:
        built = build_catalog(
            folders,
            output,
            digests=not no_digest,
            exclude=exclude,
            jobs=jobs or min(os.cpu_count() or 1, 8),
            fresh=fresh,
            force=force,
            on_event=on_event,
        )
    if as_json:
        print_json({"schema": "modelglot.catalog-build/1", **_document(built)})
    else:
        write(_built_lines(built, time.monotonic() - began))
    if metrics is not None:
        write_metrics(_metrics(built, output, time.monotonic() - began), metrics)
    return NO if fail_on and any(getattr(built, field) for field in _FAIL[fail_on]) else 0


def _metrics(built: Built, name: str, seconds: float) -> list[Metric]:
    labels = (("catalog", os.path.basename(name)),)
    kinds = {"error": built.errors, "unsafe": built.unsafe, "unknown": built.unknown}
    return [
        Metric("modelglot_catalog_models", "Models in the catalog.", {labels: built.models}),
        Metric("modelglot_catalog_findings", "Models that could not be read, are unsafe, or unknown to scan.",
               {(*labels, ("kind", kind)): count for kind, count in kinds.items()}),
        Metric("modelglot_catalog_bytes", "Bytes of all weight files.", {labels: built.nbytes}),
        Metric("modelglot_catalog_looked_at", "Models that the last build looked at.", {labels: built.looked_at}),
        Metric("modelglot_catalog_build_seconds", "How long the last build took.", {labels: seconds}),
        Metric("modelglot_catalog_end_timestamp_seconds", "When the last build ended.", {labels: time.time()}),
    ]  # fmt: skip


def _document(built: Built) -> dict[str, Any]:
    return {"path": built.path, "models": built.models, "looked_at": built.looked_at, "errors": built.errors,
            "unsafe": built.unsafe, "unknown": built.unknown, "bytes": built.nbytes}  # fmt: skip


def _built_lines(built: Built, seconds: float) -> Iterator[Line]:
    yield line(
        "wrote ",
        (printable(built.path), "bold"),
        f": {plural(built.models, 'model')}, {size(built.nbytes)}; {built.looked_at:,} looked at ({seconds:.1f} s)",
    )
    for count, what, style in (
        (built.unsafe, "unsafe", "red"),
        (built.unknown, "unknown to scan", "yellow"),
        (built.errors, "could not be read", "yellow"),
    ):
        if count:
            yield line("  ", (f"{count:,} {what}", style))


@contextmanager
def _progress() -> Iterator[Any]:
    """A count and a rate on a terminal: how many models there are is not known before the end."""
    if not colourful(sys.stderr):
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.completed:,} models"), TimeElapsedColumn())
    with Bar(*columns, TextColumn("{task.description}"), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("")

        def show(event: Progress) -> None:
            bar.update(task, completed=event.models, description=printable(event.path, limit=60).replace("[", "\\["))

        yield show


@catalog_command.command("query")
@click.argument("sql")
@catalog_option
@json_option
def query_command(sql: str, catalog: str, as_json: bool) -> int:
    """One SELECT (DuckDB's SQL) over the table `catalog`. It can read nothing else and change nothing.

    Piped, columns are separated by tabs, the first line has their names. `describe catalog` lists them.
    """
    answer = query_catalog(catalog, sql)
    if as_json:
        for row in answer.rows:
            print_json(
                {"schema": "modelglot.catalog-row/1", "row": dict(zip(answer.columns, map(_value, row), strict=True))}
            )
    elif colourful(sys.stdout):
        _rich_table(answer)
    else:
        rows = ([_shown(value) for value in row] for row in answer.rows)
        for cells in ([printable(c) for c in answer.columns], *rows):
            sys.stdout.write("\t".join(cells) + "\n")
    return 0


def _rich_table(answer: Answer) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold")
    for column in answer.columns:
        table.add_column(Text(printable(column)))
    for row in answer.rows:
        table.add_row(*(Text(_shown(value)) for value in row))
    Console().print(table)


def _value(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, dict):
        return {str(k): _value(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_value(v) for v in value]
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, float) and value - value != 0:
        return None
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def _shown(value: Any) -> str:
    value = _value(value)
    if isinstance(value, (list, dict)):
        value = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return "" if value is None else printable(str(value), limit=2000)


@catalog_command.command("duplicates")
@catalog_option
@click.option("--any-names", is_flag=True, help="Also where the same tensors have other names.")
@json_option
def duplicates_command(catalog: str, any_names: bool, as_json: bool) -> int:
    """Models with equal weights, whatever their formats and files; most bytes to spare first."""
    groups = duplicates(catalog, names=not any_names)
    if as_json:
        for group in groups:
            print_json({"schema": "modelglot.duplicates/1", "digest": group.digest, "models": group.models,
                        "bytes": group.nbytes, "spare": group.spare, "paths": list(group.paths),
                        "formats": list(group.formats)})  # fmt: skip
    else:
        write(_duplicate_lines(groups))
    return 0


def _duplicate_lines(groups: list[Duplicates]) -> Iterator[Line]:
    for group in groups:
        yield line((group.digest[:16], "bold"), f"  {plural(group.models, 'model')}, {size(group.spare)} to spare")
        for path, format in zip(group.paths, group.formats, strict=True):
            yield line(f"  {printable(path, limit=2000)}  ", (format, "dim"))
    spare = size(sum(g.spare for g in groups))
    yield line(f"{plural(len(groups), 'group')} of equal weights, {spare} to spare")
