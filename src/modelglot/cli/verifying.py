"""modelglot verify"""

from __future__ import annotations

import click

from modelglot.api.verifying import verify
from modelglot.cli.errors import NO
from modelglot.cli.options import from_option, json_option, limit_option, print_json
from modelglot.core.errors import printable
from modelglot.core.limits import Limits
from modelglot.report.lines import line, write

_STYLES = {"right": "green", "wrong": "red", "none": "dim"}
_SHOWN = 20


@click.command("verify")
@click.argument("path")
@click.option("--receipt", metavar="FILE", help="What `convert --receipt` wrote: digests of every file and tensor.")
@from_option
@limit_option
@json_option
def verify_command(path: str, receipt: str | None, format: str | None, limits: Limits, as_json: bool) -> int:
    """Is PATH whole, and what it was? Exit code 0: nothing is wrong, 1: something is.

    Checks structure, reads every tensor, and compares what the format keeps (CRC-32, CRC-32C), digests in names, and a
    receipt. Where nothing keeps a checksum, that is said.
    """
    report = verify(path, receipt=receipt, format=format, limits=limits)
    if as_json:
        print_json(report.document())
        return 0 if report.ok else NO
    for check in sorted(report.checks, key=lambda c: c.state != "wrong")[:_SHOWN]:
        where = f" {printable(check.where, code=True)}:" if check.where else ""
        write([line((f"{check.state}:", _STYLES[check.state]), where, " ", printable(check.what, limit=300))])
    more = len(report.checks) - _SHOWN
    if more > 0:
        write([line(f"... {more:,} more")])
    said = "nothing is wrong with" if report.ok else "not what it was, or not whole:"
    answer = ("yes: ", "green") if report.ok else ("no: ", "red")
    write([line(answer, f"{said} {printable(report.path)}")])
    return 0 if report.ok else NO
