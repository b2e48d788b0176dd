"""Options that several verbs share."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import click

from modelglot.core.limits import Limits

F = TypeVar("F", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document a line, with a `schema`.")
from_option = click.option("--from", "format", metavar="FORMAT", help="Read as this format instead of detecting it.")
include_option = click.option("--include", multiple=True, metavar="GLOB", help="Only tensors whose name fits.")
exclude_option = click.option("--exclude", multiple=True, metavar="GLOB", help="No tensors whose name fits.")
component_option = click.option(
    "--component", metavar="NAME", help="Part of a training checkpoint: model, ema, optimizer, or one of its keys."
)
limit_option = click.option(
    "--limit", "limits", multiple=True, metavar="NAME=N", callback=lambda _c, _p, v: parse_limits(v),
    help="Raise a limit on what a file may ask for, such as header=200000000.",
)  # fmt: skip


def parse_limits(texts: tuple[str, ...]) -> Limits:
    """``name=number`` pairs on top of the defaults."""
    limits = Limits()
    for text in texts:
        name, _, number = text.partition("=")
        if not hasattr(limits, name) or not number.isdigit():
            known = ", ".join(Limits.__dataclass_fields__)
            raise click.BadParameter(f"`{text}` is not NAME=NUMBER with a name of {known}")
        limits = replace(limits, **{name: int(number)})
    return limits


def print_json(document: dict[str, Any]) -> None:
    """One line on stdout. Names that are not valid Unicode are written as their replacement."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    sys.stdout.write(text.encode("utf-8", "replace").decode() + "\n")
