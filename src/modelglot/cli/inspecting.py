"""modelglot inspect"""

from __future__ import annotations

import click

from modelglot.api.inspecting import inspect
from modelglot.cli.errors import exit_code, show_error
from modelglot.cli.options import from_option, json_option, limit_option, print_json
from modelglot.core.errors import ModelFileError
from modelglot.core.limits import Limits
from modelglot.report.inspect_text import render
from modelglot.report.lines import line, write


@click.command("inspect")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--depth", type=click.IntRange(min=1), help="Levels of the tree to show.")
@click.option("--full", is_flag=True, help="One line a tensor: nothing is collapsed.")
@click.option("--match", multiple=True, metavar="GLOB", help="Only tensors whose name fits, such as '*.attn.*'.")
@click.option("--metadata", is_flag=True, help="All metadata, values whole.")
@from_option
@limit_option
@json_option
def inspect_command(
    paths: tuple[str, ...],
    depth: int | None,
    full: bool,
    match: tuple[str, ...],
    metadata: bool,
    format: str | None,
    limits: Limits,
    as_json: bool,
) -> int:
    """Tell what files or folders are and show what is inside, without reading tensors or running anything."""
    worst = 0
    for number, path in enumerate(paths):
        try:
            report = inspect(path, match=match, collapse=not full, format=format, limits=limits)
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
