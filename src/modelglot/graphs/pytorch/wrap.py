"""Statements that are too long for a line, broken inside of brackets."""

from __future__ import annotations

from itertools import pairwise

WIDTH = 120
_OPEN, _CLOSE = "([{", ")]}"


def wrapped(text: str, indent: str) -> list[str]:
    """The lines of a statement: as it is where it fits, else with the parts of its largest bracket on lines of their
    own."""
    if len(indent) + len(text) <= WIDTH:
        return [indent + text]
    found = _largest(text)
    if found is None:
        return [indent + text]
    begin, parts, end = found
    inner = indent + "    "
    lines = [indent + text[:begin]]
    filled = inner + ", ".join(parts)
    if len(filled) <= WIDTH:
        lines.append(filled)
    else:
        for part in parts:
            lines += wrapped(part + ",", inner)
    return [*lines, indent + text[end:]]


def _largest(text: str) -> tuple[int, list[str], int] | None:
    """(begin, parts, end) of the inside of the largest outermost bracket that may be broken at commas."""
    best, stack, commas, quote = None, list[int](), list[list[int]](), ""
    skip = False
    for place, character in enumerate(text):
        if skip:
            skip = False
        elif quote:
            skip = character == "\\"
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character in _OPEN:
            stack.append(place + 1)
            commas.append([])
        elif character in _CLOSE and stack:
            begin, cuts = stack.pop(), commas.pop()
            if not stack and (best is None or place - begin > best[2] - best[0]) and text[begin - 1] == "(":
                best = (begin, cuts, place)
        elif character == "," and stack:
            commas[-1].append(place)
    if best is None:
        return None
    begin, cuts, end = best
    edges = [begin, *(cut + 1 for cut in cuts), end + 1]
    parts = [text[a : b - 1].strip() for a, b in pairwise(edges)]
    parts = [part for part in parts if part]
    return (begin, parts, end) if parts and " for " not in text[begin:end] else None
