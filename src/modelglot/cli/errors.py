"""Errors as people see them, and the exit code of each kind."""

from __future__ import annotations

import json
import sys

from modelglot.core import errors as e
from modelglot.report.lines import Line, line, write

NO, USAGE, CANNOT_OPEN, OUR_BUG, INTERRUPTED = 1, 2, 3, 70, 130

_CODES: tuple[tuple[type[e.ModelFileError], int], ...] = (
    (e.CannotOpenError, CANNOT_OPEN),
    (e.UnknownFormatError, 4),
    (e.DamagedFileError, 5),
    (e.InvalidFileError, 5),
    (e.LimitError, 5),
    (e.UnsafeContentError, 6),
    (e.UnsupportedError, 7),
    (e.LossError, 8),
    (e.TargetExistsError, 9),
    (e.CannotWriteError, 9),
    (e.PlanError, 9),
)


def exit_code(error: e.ModelFileError) -> int:
    return next((code for kind, code in _CODES if isinstance(error, kind)), OUR_BUG)


def error_lines(error: e.ModelFileError) -> list[Line]:
    """``error: place: what``, a line of figures, ``hint: what to do``."""
    place = error.place()
    shown = [line(("error: ", "bold red"), f"{place}: {error.what}" if place else error.what)]
    for detail in (error.detail or "").split("\n"):
        if detail:
            shown.append(line("  ", detail.strip()))
    if error.hint:
        shown.append(line(("hint: ", "bold"), error.hint))
    return shown


def show_error(error: e.ModelFileError, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps({"schema": "modelglot.error/1", "error": error.document()}) + "\n")
    write(error_lines(error), sys.stderr)


def show_bug(error: Exception) -> None:
    import traceback

    traceback.print_exception(error)
    write(
        [line(("error: ", "bold red"), "this is a defect in modelglot: please report it with the lines above")],
        sys.stderr,
    )
