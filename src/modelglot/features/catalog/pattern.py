"""``s3://bucket/models/**/*.gguf``: which folder to walk, what to go into, what fits."""

from __future__ import annotations

import os
import re

from modelglot.core.errors import CannotOpenError, UnsupportedError
from modelglot.core.lazy import lazy
from modelglot.core.urls import public
from modelglot.sources.opening import is_remote
from modelglot.sources.remote.objects import can_list

_SIGNS = re.compile(r"[*?\[]")
_TOKEN = re.compile(r"\*+|\?|\[!?\]?[^\]]*\]|.", re.DOTALL)


def is_pattern(path: str) -> bool:
    """A path with ``*`` that is not itself there."""
    return "*" in path and (is_remote(path) or not os.path.lexists(path))


def fixed_part(text: str) -> str:
    """The folder that all paths which fit lie in: ``s3://bucket/models`` of ``s3://bucket/models/*/a*.pt``."""
    head, sep, rest = text.partition("://") if is_remote(text) else ("", "", text)
    parts = rest.rstrip("/").split("/")
    fixed = next((i for i, part in enumerate(parts) if _SIGNS.search(part)), len(parts))
    return head + sep + "/".join(parts[:fixed]) or ("/" if rest.startswith("/") else os.curdir)


def hidden(path: str, root: str) -> bool:
    """Whether a name below ``root`` begins with a point: neither patterns nor walks see those."""
    return "/." in path[len(root.rstrip("/")) :]


class Pattern:
    """``*``, ``?`` and ``[abc]`` stand for what a name has between slashes, ``**`` for any folders, or none.

    ``root`` is the folder to walk. Raises UnsupportedError for a web address, CannotOpenError for a bucket that is not
    named.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        place = text if is_remote(text) else os.path.expanduser(text)
        self.root = fixed_part(place)
        self.parts = place[len(self.root) if self.root != os.curdir else 0 :].strip("/").split("/")
        if not is_remote(text):
            return
        if self.root.endswith("//"):
            raise CannotOpenError("a pattern needs a bucket", path=public(text))
        if not can_list(self.root):
            raise UnsupportedError(
                "a web server does not list what it has", path=public(text), hint="name each file, without `*`"
            )

    def shown(self, path: str) -> str:
        """A path of the walk as the pattern would say it."""
        return path.removeprefix("./") if self.root == os.curdir else path

    def fits(self, path: str, *, folder: bool = False) -> bool:
        name = self._below(path)
        return self._whole.fullmatch(name) is not None or (folder and self._whole.fullmatch(f"{name}/") is not None)

    def may_hold(self, folder: str) -> bool:
        """Whether something in the folder, or the folder, can fit."""
        names = [name for name in self._below(folder).split("/") if name]
        for name, part in zip(names, self.parts, strict=False):
            if part == "**":
                return True
            if not re.fullmatch(_translated(part), name, re.DOTALL):
                return False
        return len(names) <= len(self.parts) or "**" in self.parts

    def _below(self, path: str) -> str:
        return path[len(self.root.rstrip("/")) :].strip("/")

    @lazy
    def _whole(self) -> re.Pattern[str]:
        made = []
        for number, part in enumerate(self.parts, 1):
            last = number == len(self.parts)
            if part == "**":
                made.append("(?:[^/]+/)*" + ("[^/]*" if last else ""))
            else:
                made.append(_translated(part) + ("" if last else "/"))
        return re.compile("".join(made), re.DOTALL)


def _translated(part: str) -> str:
    return "(?=[^/])" + "".join(_one(token) for token in _TOKEN.findall(part))


def _one(token: str) -> str:
    if token[0] == "*":
        return "[^/]*"
    if token == "?":
        return "[^/]"
    if len(token) > 2 and token[0] == "[":
        inside = re.sub(r"[\\\[\]&~|^]", r"\\\g<0>", token[1:-1].removeprefix("!"))
        try:
            return re.compile(f"[{'^' if token[1] == '!' else ''}{inside}]").pattern
        except re.error:  # `[z-a]` stands for itself
            return re.escape(token)
    return re.escape(token)
