"""modelglot view"""

from __future__ import annotations

import sys
from importlib import import_module

import click

from modelglot.api.viewing import View
from modelglot.cli.options import limit_option
from modelglot.core.errors import MissingExtraError
from modelglot.core.limits import Limits


@click.command("view")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="The port; a free one unless given.")
@click.option("--no-browser", is_flag=True, help="Print the address and open nothing.")
@limit_option
def view_command(paths: tuple[str, ...], port: int, no_browser: bool, limits: Limits) -> None:
    """Show files in the browser: tensors and their values, metadata, tokenizer, graph; two files side by side.

    The page is served to this machine only, at an address that nobody can guess. Ctrl-C ends it.
    """
    try:
        serve = import_module("modelglot.web.server").serve
    except ImportError:
        raise MissingExtraError("`view` needs starlette and uvicorn", hint="pip install 'modelglot[view]'") from None
    views = [View(path, limits=limits) for path in paths]

    def ready(address: str) -> None:
        sys.stdout.write(f"{address}\n")
        sys.stdout.flush()
        if not no_browser:
            import webbrowser

            webbrowser.open(address)

    serve(views, port, ready)
