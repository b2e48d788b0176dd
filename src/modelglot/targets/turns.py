"""Chat templates by family: how turns are marked, and the Go template that Ollama renders them with.

A Jinja template is a program and is never run here. It is recognised by the markers it writes; what it does beside
marking turns (tools, thinking that is cut from history) is not translated.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

Pair = tuple[str, str]


@dataclass(frozen=True)
class Turns:
    """``user`` and ``assistant`` are what stands before and after a message, ``answer`` what the model goes on from.

    ``system`` is a turn of its own; with ``always`` it opens every conversation, at the top. ``fold`` puts the system
    text into the ``first`` or the ``last`` user message, between the strings of ``system``.
    ``markers`` must all be in the Jinja template, and none of ``without``.
    """

    name: str
    markers: tuple[str, ...]
    user: Pair
    assistant: Pair
    answer: str
    system: Pair
    fold: str = ""
    always: bool = False
    prefix: str = ""
    without: tuple[str, ...] = ()
    stops: tuple[str, ...] = ()


def go_template(turns: Turns, prefix: str = "") -> str:
    """Ollama's TEMPLATE. It has no line breaks but those of the markers, so that nothing needs trimming."""
    parts = [prefix, turns.prefix]
    if turns.always:
        parts.append(f"{turns.system[0]}{{{{ .System }}}}{turns.system[1]}")
    elif turns.fold == "top":
        parts.append(_when("if .System", f"{turns.system[0]}{{{{ .System }}}}{turns.system[1]}"))
    parts.append("{{ range $i, $_ := .Messages }}{{ $last := eq (len (slice $.Messages $i)) 1 }}")
    user, branches = turns.user[0], ""
    if turns.fold in ("first", "last"):
        where = "(le $i 1)" if turns.fold == "first" else "$last"
        user += _when(f"if and $.System {where}", f"{turns.system[0]}{{{{ $.System }}}}{turns.system[1]}")
    elif not turns.fold and not turns.always:
        branches = f'{{{{ else if eq .Role "system" }}}}{turns.system[0]}{{{{ .Content }}}}{turns.system[1]}'
    parts.append(f'{{{{ if eq .Role "user" }}}}{user}{{{{ .Content }}}}{turns.user[1]}')
    parts.append(branches)
    parts.append(f'{{{{ else if eq .Role "assistant" }}}}{turns.assistant[0]}{{{{ .Content }}}}')
    parts.append(_when("if not $last", turns.assistant[1]) + "{{ end }}")
    if turns.answer:
        parts.append(_when('if and $last (ne .Role "assistant")', turns.answer))
    return "".join(parts) + "{{ end }}"


def _when(condition: str, text: str) -> str:
    return f"{{{{ {condition} }}}}{text}{{{{ end }}}}" if text else ""


def default_system(turns: Turns, jinja: str) -> str | None:
    """The system text that the template writes when a conversation has none, where it stands there as one string."""
    if turns.fold or turns.always:
        return None
    before, after = (re.escape(part).replace("\\\n", r"(?:\\n|\n)") for part in turns.system)
    found = re.search(rf"{before}([^'\"{{}}<>]*? [^'\"{{}}<>]*?){after}", jinja) if after else None
    return found[1].replace("\\n", "\n") if found else None
