"""modelglot formats"""

from __future__ import annotations

import sys

import click

from modelglot.cli.options import json_option, print_json
from modelglot.core.format import FormatInfo
from modelglot.formats import registry
from modelglot.report.lines import colourful


def rows() -> list[FormatInfo]:
    """Every format that can be read or written, in the registry's order."""
    return [f.info for f in registry.all_formats() if f.info.can & {"read", "write"}]


@click.command("formats")
@json_option
@click.option("--markdown", is_flag=True, help="As the table in the README.")
def formats_command(as_json: bool, markdown: bool) -> int:
    """List the formats: what is read, what is written, and what each is."""
    if as_json:
        for info in rows():
            print_json(
                {
                    "schema": "modelglot.format/1",
                    "name": info.name,
                    "title": info.title,
                    "suffixes": list(info.suffixes),
                    "can": sorted(info.can),
                    "dtypes": sorted(info.dtypes),
                    "spec": info.spec,
                    "about": info.blurb,
                }
            )
    elif markdown:
        sys.stdout.write(markdown_table())
    elif colourful(sys.stdout):
        _rich_table()
    else:
        for info in rows():
            sys.stdout.write("\t".join((info.name, _verbs(info), " ".join(info.suffixes), info.title)) + "\n")
    return 0


def markdown_table() -> str:
    """The README's table of formats."""
    lines = ["| format | read | write | files | what it is |", "|---|---|---|---|---|"]
    for info in rows():
        writes = "yes, also sharded" if {"write", "shards"} <= info.can else "yes" if "write" in info.can else "no"
        suffixes = " ".join(f"`{s}`" for s in info.suffixes) or "any"
        lines.append(f"| [{info.title}]({info.spec}) (`{info.name}`) | yes | {writes} | {suffixes} | {info.blurb} |")
    return "\n".join(lines) + "\n"


def _verbs(info: FormatInfo) -> str:
    return "read, write" if "write" in info.can else "read"


def _rich_table() -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("format", "", "files", "what it is", box=None, header_style="bold")
    for info in rows():
        table.add_row(info.name, _verbs(info), " ".join(info.suffixes), f"{info.title}: {info.blurb}")
    Console().print(table)
