"""modelglot scan"""

from __future__ import annotations

from collections.abc import Iterator

import click

from modelglot import __version__
from modelglot.api.scanning import scan
from modelglot.cli.errors import CANNOT_OPEN, NO
from modelglot.cli.options import json_option, limit_option, print_json
from modelglot.core.errors import printable
from modelglot.core.limits import Limits
from modelglot.features.scan.report import NOTE, ORDER, SAFE, UNKNOWN, UNSAFE, ScanReport
from modelglot.features.scan.rules.table import TITLES
from modelglot.report.lines import Line, line, plural, write
from modelglot.report.sarif import sarif

_STYLES = {SAFE: "green", UNKNOWN: "yellow", UNSAFE: "red", NOTE: "dim"}
_SHOWN = 8


@click.command("scan")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--fail-on", type=click.Choice([UNKNOWN, UNSAFE]), default=UNSAFE, show_default=True,
              help="The verdict from which the exit code is 1.")  # fmt: skip
@click.option("--allow", multiple=True, metavar="MODULE.NAME[=ROLE]", help="Vouch for a global that pickles name.")
@click.option("--jobs", type=click.IntRange(min=1), default=2, show_default=True, help="Files at a time.")
@click.option("--sarif", "as_sarif", is_flag=True, help="SARIF 2.1.0 on stdout, for code hosts and editors.")
@limit_option
@json_option
def scan_command(
    paths: tuple[str, ...],
    fail_on: str,
    allow: tuple[str, ...],
    jobs: int,
    as_sarif: bool,
    limits: Limits,
    as_json: bool,
) -> int:
    """What would loading these files do? Exit code 1 where one is worse than --fail-on allows, else 3 where one that
    was given cannot be opened.

    safe: read whole, and all it names is data. unknown: it needs code to load, or could not be read whole. unsafe: it
    would run something. Nothing is run to find out. Notes (a secret, a path of somebody's home) change no verdict.
    """
    report = scan(paths, allow=allow, limits=limits, jobs=jobs)
    closed = set(report.closed) & set(paths)  # of those given: in a folder a dead link is no reason to fail
    if as_sarif:
        print_json(sarif(report, TITLES, __version__))
    elif as_json:
        print_json(report.document())
    else:
        write(_lines(report))
    if any(file.verdict in ORDER[ORDER.index(fail_on) :] for file in report.files if file.path not in closed):
        return NO
    return CANNOT_OPEN if closed else 0


def _lines(report: ScanReport) -> Iterator[Line]:
    for file in report.files:
        half = ", incomplete" if file.incomplete else ""
        yield line((f"{file.verdict}{half}: ", _STYLES[file.verdict]), f"{printable(file.path)} ({file.kind})")
        for finding in file.findings[:_SHOWN]:
            where = f"{printable(finding.member)} " if finding.member else ""
            at = f"at {finding.offset:,}: " if finding.offset is not None else ": " if where else ""
            yield line(
                "  ", (finding.severity, _STYLES[finding.severity]), f" {where}{at}{printable(finding.what, limit=300)}"
            )
        if len(file.findings) > _SHOWN:
            yield line(f"  ... {len(file.findings) - _SHOWN} more")
        hint = next((f.hint for f in file.findings if f.hint), None)
        if hint:
            yield line(("  hint: ", "dim"), hint)
    if len(report.files) > 1:
        counts = ", ".join(f"{sum(f.verdict == v for f in report.files)} {v}" for v in ORDER)
        yield line(f"{plural(len(report.files), 'file')}: {counts}")
