"""modelglot inspect"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable

import click

from modelglot.api.inspecting import inspect
from modelglot.api.inspecting_many import Inspected, has_patterns, inspect_many
from modelglot.cli.errors import error_lines, exit_code, show_error
from modelglot.cli.options import exclude_names_option, from_option, json_option, limit_option, print_json
from modelglot.core.errors import ModelFileError
from modelglot.core.limits import Limits
from modelglot.features.inspect.report import InspectReport
from modelglot.report.inspect_table import COLUMNS, cells, padded
from modelglot.report.inspect_text import render
from modelglot.report.lines import colourful, line, write


@click.command("inspect")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--depth", type=click.IntRange(min=1), help="Levels of the tree to show.")
@click.option("--full", is_flag=True, help="One line a tensor: nothing is collapsed.")
@click.option("--match", multiple=True, metavar="GLOB", help="Only tensors whose name fits, such as '*.attn.*'.")
@click.option("--metadata", is_flag=True, help="All metadata, values whole.")
@click.option("--cost", is_flag=True, help="Count the operations of the graph and the memory of its values.")
@click.option("--input", "inputs", multiple=True, metavar="NAME=TYPE[SIZES]",
              help="Count for an input of this size: x=f32[1,3,224,224]; other axes without a size are 1.")  # fmt: skip
@click.option("--jobs", type=click.IntRange(min=1),
              help="Models at a time, where a pattern finds them (default: 4; in a store 16).")  # fmt: skip
@exclude_names_option
@from_option
@limit_option
@json_option
def inspect_command(
    paths: tuple[str, ...],
    depth: int | None,
    full: bool,
    match: tuple[str, ...],
    metadata: bool,
    cost: bool,
    inputs: tuple[str, ...],
    jobs: int | None,
    exclude: tuple[str, ...],
    format: str | None,
    limits: Limits,
    as_json: bool,
) -> int:
    """Tell what files or folders are and show what is inside, without reading tensors or running anything.

    With a pattern, such as 'models/**' or 's3://bucket/models/**/*.gguf', every model that fits: a line each, as soon
    as it is known. Quote it, or the shell expands it.
    """
    if has_patterns(paths):
        if format or cost or inputs or depth or full or metadata:
            raise click.UsageError("a pattern goes with --json, --match, --limit, --exclude and --jobs alone")
        return _many(inspect_many(paths, jobs=jobs, match=match, exclude=exclude, limits=limits), as_json)
    worst = 0
    for number, path in enumerate(paths):
        try:
            report = inspect(
                path, match=match, collapse=not full, format=format, limits=limits,
                count_cost=cost or bool(inputs), inputs=inputs,
            )  # fmt: skip
        except ModelFileError as error:
            if len(paths) == 1:
                raise
            show_error(error, as_json=as_json)
            worst = max(worst, exit_code(error))
            continue
        if as_json:
            print_json(report.document())
        else:
            write([*([line("")] if number else []), *render(report, depth=depth, metadata=metadata)])
    return worst


def _many(found: Iterable[Inspected], as_json: bool) -> int:
    """A line a model, at once: a pipe behind it works along."""
    worst, show = 0, _as_documents if as_json else _as_table()
    for one in found:
        if one.error is not None:
            if as_json:
                print_json({"schema": "modelglot.error/1", "path": one.path, "error": one.error.document()})
            write(error_lines(one.error), sys.stderr)
            worst = max(worst, exit_code(one.error))
        elif one.report is not None:
            show(one.report)
        sys.stdout.flush()
    return worst


def _as_documents(report: InspectReport) -> None:
    print_json(report.document())


def _as_table() -> Callable[[InspectReport], None]:
    """Columns on a terminal; tabs and plain numbers for a pipe, as `catalog query` has them."""
    terminal, begun = colourful(sys.stdout), False

    def show(report: InspectReport) -> None:
        nonlocal begun
        row = cells(report, exact=not terminal)
        if terminal:
            write([*([] if begun else [padded(COLUMNS, "bold")]), padded(row)])
        else:
            sys.stdout.write("".join("\t".join(one) + "\n" for one in ([row] if begun else [COLUMNS, row])))
        begun = True

    return show
