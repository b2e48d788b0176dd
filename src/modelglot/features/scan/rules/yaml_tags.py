"""YAML tags that make Python objects, and HyperPyYAML's that call something."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote

from modelglot.core.errors import printable
from modelglot.core.notes import Finding
from modelglot.features.scan.look import Look
from modelglot.features.scan.names import code_severity
from modelglot.features.scan.report import UNSAFE
from modelglot.features.scan.rules.rule import Rule

ID = "yaml-tag"
_PYTHON = re.compile(r"(?:!!|!<tag:yaml\.org,2002:|\btag:yaml\.org,2002:)python/([\w/]+)(?::([\w.]*))?")
_CALLS = re.compile(r"(?:^|[\s\[{,:])!(new|name|module|apply|include|PLACEHOLDER|obj|pkl):?([\w./~-]*)", re.M)
_PLAIN = frozenset(
    ["none", "bool", "str", "unicode", "bytes", "int", "long", "float", "complex", "list", "tuple", "dict"]
)
_HANDLE = re.compile(r"^%TAG\s+(\S+)\s+(\S+)", re.M)
_WHOLE = "tag:yaml.org,2002:python/"
_MOST, _LONG = 16, 100  # handles, characters of one
_HINT = "load it with a safe loader (`yaml.safe_load`)"


def _of_part(look: Look) -> Iterator[Finding]:
    if look.suffix not in ("yaml", "yml") or look.text is None:
        return
    text = look.text
    handles = _HANDLE.findall(text)
    if len(handles) > _MOST or any(len(prefix) > _LONG for _, prefix in handles):
        yield look.piece.incomplete("more or longer handles of tags than any writer has")
    for handle, prefix in handles[:_MOST]:
        if len(prefix) > _LONG or not _WHOLE.startswith(unquote(prefix)[: len(_WHOLE)]):
            continue  # not a way to write Python's tags
        text = f"!<{prefix}".join(re.split(rf"(?<![\w!]){re.escape(handle)}(?=[\w%])", text))
    text = unquote(text)
    for kind, name in _PYTHON.findall(text):
        if kind in _PLAIN:
            continue
        shown = printable(f"!!python/{kind}{':' if name else ''}{name}", code=True)
        calls = kind.startswith(("object/apply", "object/new"))
        make = look.piece.unsafe if calls or code_severity(name) == UNSAFE else look.piece.unknown
        does = "makes an object of Python, or calls it" if calls else "names code that loading imports"
        yield make(ID, f"the tag {shown} {does}", None, _HINT)
    for kind, name in _CALLS.findall(text):
        if kind in ("PLACEHOLDER", "include") and not name:
            continue
        make = look.piece.unsafe if "." in name and code_severity(name) == UNSAFE else look.piece.unknown
        shown = printable(f"!{kind}:{name}", code=True)
        yield make(ID, f"the tag {shown} names code or a file that loading uses (HyperPyYAML)", None, _HINT)


RULE = Rule(ID, "YAML tags that make or call something", "`!!python/...`, `!new:`, `!apply:` in YAML", _of_part)
