"""As much of Go's text/template as our templates use, to see what Ollama would send to a model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|\(|\)|:=|,|[^\s()",]+')


def render(template: str, data: Mapping[str, Any]) -> str:
    """Raises ValueError for what is not in the subset, so that a template cannot pass by being ignored."""
    nodes = re.split(r"\{\{(.*?)\}\}", template, flags=re.DOTALL)
    body, rest = _block(nodes, 0)
    if rest != len(nodes):
        raise ValueError("an `end` or `else` too many")
    return "".join(_run(body, data, {"$": data}))


def _block(nodes: list[str], at: int) -> tuple[list[Any], int]:
    """Parsed nodes up to the `else` or `end` that belongs to somebody else."""
    made: list[Any] = []
    while at < len(nodes):
        if at % 2 == 0:
            made.append(nodes[at])
            at += 1
            continue
        words = _TOKEN.findall(nodes[at])
        if words[0] in ("else", "end"):
            return made, at
        if words[0] in ("if", "range"):
            node, at = _branch(nodes, at, words)
            made.append(node)
        else:
            made.append(words)
            at += 1
    return made, at


def _branch(nodes: list[str], at: int, words: list[str]) -> tuple[Any, int]:
    body, at = _block(nodes, at + 1)
    words_there = _TOKEN.findall(nodes[at])
    other: list[Any] = []
    if words_there == ["end"]:
        return (words[0], words[1:], body, other), at + 1
    if words_there[:2] == ["else", "if"]:
        node, at = _branch(nodes, at, words_there[1:])
        return (words[0], words[1:], body, [node]), at
    other, at = _block(nodes, at + 1)
    return (words[0], words[1:], body, other), at + 1


def _run(body: list[Any], dot: Any, names: dict[str, Any]) -> Any:
    for node in body:
        if isinstance(node, str):
            yield node
        elif isinstance(node, tuple):
            yield from _control(node, dot, names)
        elif ":=" in node:
            names[node[0]] = _value(node[2:], dot, names)
        else:
            yield str(_value(node, dot, names))


def _control(node: Any, dot: Any, names: dict[str, Any]) -> Any:
    kind, words, body, other = node
    if kind == "if":
        yield from _run(body if _value(words, dot, names) else other, dot, dict(names))
        return
    index, comma, element, assign = words[:4]
    if (comma, assign) != (",", ":="):
        raise ValueError(f"range {words}")
    for number, item in enumerate(_value(words[4:], dot, names)):
        yield from _run(body, item, {**names, index: number, element: item})


def _value(words: list[str], dot: Any, names: dict[str, Any]) -> Any:
    values, at = [], 0
    while at < len(words):
        if words[at] == "(":
            depth, end = 1, at
            while depth:
                end += 1
                depth += {"(": 1, ")": -1}.get(words[end], 0)
            values.append(_value(words[at + 1 : end], dot, names))
            at = end + 1
        else:
            values.append(_atom(words[at], dot, names))
            at += 1
    head, *arguments = values
    if not callable(head):
        if arguments:
            raise ValueError(f"{words} is no call")
        return head
    return head(*arguments)


_FUNCTIONS: dict[str, Any] = {
    "eq": lambda a, b: a == b, "ne": lambda a, b: a != b, "le": lambda a, b: a <= b, "len": len,
    "slice": lambda a, i: a[i:], "not": lambda a: not a, "and": lambda a, b: a and b, "or": lambda a, b: a or b,
    "currentDate": lambda: "2025-01-02",
}  # fmt: skip


def _atom(word: str, dot: Any, names: dict[str, Any]) -> Any:
    if word in _FUNCTIONS:
        return _FUNCTIONS[word]
    if word.startswith('"'):
        return word[1:-1].encode().decode("unicode_escape")
    if word.isdigit():
        return int(word)
    root, *path = word.split(".")
    if word[0] not in ".$":
        raise ValueError(word)
    found = dot if root == "" else names[root]
    for key in path:
        found = found[key]
    return found
