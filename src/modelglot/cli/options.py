"""Options that several verbs share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any, TypeVar

import click

from modelglot.api.executing import EXECUTORS
from modelglot.core.limits import Limits
from modelglot.report.json_text import json_text

F = TypeVar("F", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document a line, with a `schema`.")


def from_option(command: F) -> F:
    """``--from``, and what says how bytes without a header are read; both come as ``format``."""

    @wraps(command)
    def wrapped(*args: Any, raw_dtype: str | None, raw_shape: str | None, raw_offset: int, **more: Any) -> Any:
        if raw_dtype or raw_shape or raw_offset:
            shape = (raw_shape or "-1").replace(",", "x").replace(" ", "")
            more["format"] = f"raw:dtype={raw_dtype or 'u8'},shape={shape},offset={raw_offset}"
        return command(*args, **more)

    for option in (
        click.option("--raw-offset", type=click.IntRange(min=0), default=0, metavar="N", help="Where they begin."),
        click.option("--raw-shape", metavar="N,N", help="Their shape; one size may be -1."),
        click.option("--raw-dtype", metavar="DTYPE", help="Read numbers without a header: f32, bf16, i8 ..."),
        click.option("--from", "format", metavar="FORMAT", help="Read as this format instead of detecting it."),
    ):
        option(wrapped)
    return wrapped  # type: ignore[return-value]


include_option = click.option("--include", multiple=True, metavar="GLOB", help="Only tensors whose name fits.")
exclude_option = click.option("--exclude", multiple=True, metavar="GLOB", help="No tensors whose name fits.")
exclude_names_option = click.option(
    "--exclude",
    multiple=True,
    metavar="NAME",
    help="Pass over files and folders of that name, or that fit it: 'tmp*'.",
)
component_option = click.option(
    "--component", metavar="NAME", help="Part of a training checkpoint: model, ema, optimizer, or one of its keys."
)
limit_option = click.option(
    "--limit", "limits", multiple=True, metavar="NAME=N", callback=lambda _c, _p, v: parse_limits(v),
    help="Raise a limit on what a file may ask for, such as header=200000000.",
)  # fmt: skip


def executor_options(command: F) -> F:
    """``--executor`` and ``--address``."""
    address = click.option("--address", metavar="HOST:PORT",
                           help="Of the Ray cluster, also `auto`, `ray://...`; else one is started here.")  # fmt: skip
    executor = click.option("--executor", type=click.Choice(EXECUTORS), default="threads", show_default=True,
                            help="Where the work runs: here, or on a Ray cluster.")  # fmt: skip
    return executor(address(command))


def layout_options(command: F) -> F:
    """``--layout`` and ``--axes``."""
    axes = click.option("--axes", multiple=True, metavar="GLOB=AXES",
                        help="What the axes of kernels are, where the source does not say: 'conv*=hwio'.")  # fmt: skip
    layout = click.option("--layout", type=click.Choice(["torch", "tf", "keras"]),
                          help="Kernels with the axes and gates of another framework.")  # fmt: skip
    return layout(axes(command))


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
    """One line on stdout."""
    sys.stdout.write(json_text(document) + "\n")
