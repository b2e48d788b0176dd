"""TensorFlow graphs: operators that reach outside, assets that leave the folder, in binary and as text."""

from __future__ import annotations

import re
from collections.abc import Iterator

from modelglot.containers.protobuf_file import message
from modelglot.containers.tensorflow.graph import MetaGraph, read_graph, read_meta_graph
from modelglot.containers.tensorflow.hazards import OPERATORS, findings
from modelglot.core.errors import printable
from modelglot.core.notes import Finding
from modelglot.features.scan.look import Look, Whole
from modelglot.features.scan.names import escapes
from modelglot.features.scan.rules.rule import Rule

ID = "tf-operator"
_OP = re.compile(r"""\bop\s*:\s*((?:"(?:\\.|[^"\\\n]){0,200}"\s*|'(?:\\.|[^'\\\n]){0,200}'\s*)+)""")
_TEXT = re.compile(r""""((?:\\.|[^"\\])*)"|'((?:\\.|[^'\\])*)'""")
_ESCAPE = re.compile(r"\\(?:([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})|(.))")


def _of_part(look: Look) -> Iterator[Finding]:
    if look.suffix not in ("pbtxt", "prototxt", "txt") or look.text is None:
        return
    for name in dict.fromkeys(map(_joined, _OP.findall(look.text))):
        if name in OPERATORS:
            yield look.piece.unsafe(ID, f"operator {printable(name, code=True)} {OPERATORS[name]}")


def _joined(written: str) -> str:
    """Texts that follow one another are one, and have escapes."""
    whole = "".join(a or b for a, b in _TEXT.findall(written))
    return _ESCAPE.sub(lambda m: chr(int(m[1], 8)) if m[1] else chr(int(m[2], 16)) if m[2] else m[3], whole)


def _of_whole(whole: Whole) -> Iterator[Finding]:
    source, limits = whole.piece.window.source, whole.piece.limits
    if source is None:
        return
    graphs: list[MetaGraph] = []
    if whole.is_format("tf-graph"):
        yield from findings(read_graph(message(source, limits), limits), whole.piece.path)
    elif whole.is_format("tf-saved-model"):
        graphs = [read_meta_graph(f.fields(), limits) for f in message(source, limits) if f.number == 2]
    elif whole.is_format("tf-checkpoint") and whole.look.suffix == "meta":
        graphs = [read_meta_graph(message(source, limits), limits)]
    for graph in graphs:
        yield from findings(graph.graph, whole.piece.path)
        for asset in graph.assets:
            why = escapes(asset)
            if why is not None:
                yield whole.piece.unsafe(ID, f"the asset {printable(asset, code=True)} {why}")


RULE = Rule(ID, "TensorFlow operators that reach outside", "nodes of graphs and functions, assets", _of_part, _of_whole)
