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
@click.option("--cost", is_flag=True, help="Count the operations of the graph and the memory of its values.")
@click.option("--input", "inputs", multiple=True, metavar="NAME=TYPE[SIZES]",
              help="Count for an input of this size: x=f32[1,3,224,224]; other axes without a size are 1.")  # fmt: skip
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
    format: str | None,
    limits: Limits,
    as_json: bool,
) -> int:
    """Tell what files or folders are and show what is inside, without reading tensors or running anything."""
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
