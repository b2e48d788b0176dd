"""Lines of styled spans, and how to put them on a stream."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TextIO

Span = tuple[str, str]  # text, style ("" for none)
Line = list[Span]


def line(*parts: str | Span) -> Line:
    """A line of plain strings and (text, style) pairs."""
    return [(p, "") if isinstance(p, str) else p for p in parts]


def colourful(stream: TextIO) -> bool:
    """Only on a terminal, and never against ``NO_COLOR``."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def write(lines: Iterable[Line], stream: TextIO | None = None) -> None:
    """Lines to a stream (stdout): as they are when piped, through rich on a terminal."""
    out = stream or sys.stdout
    if not colourful(out):
        for spans in lines:
            out.write(_safe("".join(text for text, _ in spans)).rstrip() + "\n")
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(file=out, highlight=False, soft_wrap=True)
    for spans in lines:
        console.print(Text.assemble(*((_safe(text), style) for text, style in spans)))


def _safe(text: str) -> str:
    """Nothing from a file may steer the terminal: control characters appear as their escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def size(count: int) -> str:
    """Bytes in decimal units, as file managers and the hub show them: ``2.1 GB``."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def number(count: int) -> str:
    """Parameters as people say them: ``135 M``."""
    value = float(count)
    if value < 10_000:
        return f"{count:,}"
    unit = ""
    for unit in ("K", "M", "B", "T"):  # noqa: B007
        value /= 1000
        if value < 999.5:
            break
    return f"{value:.0f} {unit}" if value >= 100 else f"{value:.1f} {unit}"


def plural(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"
