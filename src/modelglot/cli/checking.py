"""modelglot check"""

from __future__ import annotations

from collections.abc import Iterator

import click

from modelglot.api.checking import check
from modelglot.cli.errors import NO
from modelglot.cli.options import from_option, json_option, limit_option, print_json
from modelglot.core.errors import printable
from modelglot.core.limits import Limits
from modelglot.report.lines import Line, line, write
from modelglot.targets.registry import TARGETS
from modelglot.targets.report import CheckReport


@click.command("check")
@click.argument("path")
@click.option("--for", "target", required=True, metavar="RUNTIME", help=f"One of {', '.join(TARGETS)}.")
@from_option
@limit_option
@json_option
def check_command(path: str, target: str, format: str | None, limits: Limits, as_json: bool) -> int:
    """Will a runtime load PATH, and if not, why? Exit code 0: yes, 1: no."""
    report = check(path, target, format=format, limits=limits)
    if as_json:
        print_json(report.document())
    else:
        write(_lines(report))
    return 0 if report.ok else NO


def _lines(report: CheckReport) -> Iterator[Line]:
    for obstacle in report.obstacles:
        style = "red" if obstacle.level == "blocker" else "yellow"
        yield line((f"{obstacle.level}: ", style), printable(obstacle.what, limit=400))
        if obstacle.hint:
            yield line(("  hint: ", "dim"), printable(obstacle.hint, limit=400))
    if report.ok:
        yield line(("yes: ", "green"), f"nothing keeps {report.title} from loading {printable(report.path)}")
    else:
        yield line(("no: ", "red"), f"{report.title} will not load {printable(report.path)}")
