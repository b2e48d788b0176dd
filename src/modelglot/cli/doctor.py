"""modelglot doctor"""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

import click

from modelglot import __version__
from modelglot.cli.options import json_option, print_json
from modelglot.report.lines import line, write

_PACKAGES = ("numpy", "ml_dtypes", "blake3", "click", "rich", "torch", "jax", "tensorflow", "matplotlib")


@click.command("doctor")
@json_option
def doctor_command(as_json: bool) -> int:
    """What this installation has: compiled kernels or the slower fallback, optional packages."""
    from modelglot.kernels.native import status

    kernels = status()
    packages = {name: _version(name) for name in _PACKAGES}
    if as_json:
        print_json({"schema": "modelglot.doctor/1", "modelglot": __version__, "python": platform.python_version(),
                    "system": platform.platform(), "kernels": kernels.level, "why": kernels.why,
                    "packages": packages})  # fmt: skip
        return 0
    write([line("modelglot ", (__version__, "bold"), f", Python {platform.python_version()}, {platform.platform()}")])
    style = "green" if kernels.level else "yellow"
    write([line("kernels: ", (kernels.level or "numpy fallback, several times slower", style), f" ({kernels.why})")])
    for name, found in packages.items():
        write([line(f"  {name} ", (found or "not installed", "" if found else "dim"))])
    sys.stdout.flush()
    return 0


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
