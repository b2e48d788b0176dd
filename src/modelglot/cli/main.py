"""The `modelglot` command. Verbs are imported when they are called, so that starting is quick."""

from __future__ import annotations

import errno
import sys
from importlib import import_module
from typing import Any

import click

from modelglot import __version__
from modelglot.cli.errors import INTERRUPTED, OUR_BUG, USAGE, exit_code, show_bug, show_error
from modelglot.core.errors import CannotWriteError, ModelFileError

_VERBS = {
    "inspect": "modelglot.cli.inspecting",
    "convert": "modelglot.cli.converting",
    "quantize": "modelglot.cli.quantizing",
    "diff": "modelglot.cli.comparing",
    "compare": "modelglot.cli.measuring",
    "stats": "modelglot.cli.measuring",
    "digest": "modelglot.cli.comparing",
    "pack": "modelglot.cli.packing",
    "check": "modelglot.cli.checking",
    "verify": "modelglot.cli.verifying",
    "scan": "modelglot.cli.scanning",
    "batch": "modelglot.cli.batching",
    "catalog": "modelglot.cli.cataloguing",
    "view": "modelglot.cli.viewing",
    "report": "modelglot.cli.reporting",
    "plot": "modelglot.cli.reporting",
    "formats": "modelglot.cli.listing",
    "doctor": "modelglot.cli.doctor",
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _VERBS:
            return None
        command: click.Command = getattr(import_module(_VERBS[cmd_name]), f"{cmd_name}_command")
        return command


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="modelglot")
def cli() -> None:
    """Tell what a model file is, show what is inside, compare and convert it. Nothing from the file is ever run.

    Exit codes: 0 done or yes, 1 the answer is no, 2 usage, 3 cannot open, 4 unknown format, 5 damaged or invalid,
    6 unsafe content refused, 7 unsupported, 8 would lose data, 9 cannot write.
    """


def main(arguments: list[str] | None = None) -> None:
    """Run and exit. Errors from files become one message and the exit code of their kind."""
    arguments = sys.argv[1:] if arguments is None else arguments
    sys.exit(run(arguments))


def run(arguments: list[str]) -> int:
    """The exit code of a command line."""
    try:
        result: Any = cli.main(arguments, prog_name="modelglot", standalone_mode=False)
        sys.stdout.flush()
        return int(result or 0)
    except ModelFileError as error:
        show_error(error, as_json="--json" in arguments)
        return exit_code(error)
    except click.ClickException as error:
        error.show()
        return USAGE
    except (click.Abort, KeyboardInterrupt):
        sys.stderr.write("interrupted\n")
        return INTERRUPTED
    except BrokenPipeError:  # `modelglot ... | head`
        sys.stdout = None
        return 0
    except OSError as error:
        if error.errno != errno.ENOSPC or error.filename is not None:
            show_bug(error)
            return OUR_BUG
        sys.stdout = None  # what is left in it cannot be written either
        show_error(CannotWriteError("the output cannot be written: no space left on device"), as_json=False)
        return exit_code(CannotWriteError(""))
    except Exception as error:  # anything else is a defect of ours, and says so
        show_bug(error)
        return OUR_BUG
