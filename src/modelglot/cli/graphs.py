"""Options of graphs on their way to ONNX."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import click

from modelglot.graphs.wishes import Wishes

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--input", "inputs", multiple=True, metavar="NAME=TYPE[SIZES]",
                 help="An input of the graph: x=f32[batch,3,224,224]; or a value: rate=16000."),
    click.option("--model", "entry", metavar="NAME",
                 help="The Python that makes the model of these weights: torchvision:resnet18, mypkg.net:Net."),
    click.option("--model-args", "arguments", metavar="JSON", help="Arguments of it, as a JSON object."),
    click.option("--allow-code", is_flag=True, help="Run the code that was named, or that the file holds."),
    click.option("--check/--no-check", default=None,
                 help="Compare outputs with the source's runtime before publishing (on the way to ONNX: default)."),
    click.option("--python", metavar="PATH", help="The interpreter that has the framework of the source."),
)  # fmt: skip


def graph_options(command: F) -> F:
    """All of them, handed on as ``wishes``."""

    @wraps(command)
    def wrapped(
        *args: Any, inputs: tuple[str, ...], check: bool | None, allow_code: bool, entry: str | None,
        arguments: str | None, python: str | None, **more: Any,
    ) -> Any:  # fmt: skip
        return command(*args, wishes=Wishes(inputs, check, allow_code, entry, arguments, python), **more)

    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[return-value]
