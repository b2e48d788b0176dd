"""ONNX operators that are not in the file and in no public set: somebody's library computes them."""

from __future__ import annotations

from collections.abc import Iterator

from modelglot.core.errors import printable
from modelglot.core.notes import Finding
from modelglot.features.scan.look import Whole
from modelglot.features.scan.onnx_walk import parts, texts
from modelglot.features.scan.rules.rule import Rule

ID = "onnx-operator"
_PUBLIC = (
    "", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training", "ai.onnx.contrib", "com.microsoft",
    "com.microsoft.nchwc", "com.microsoft.experimental", "com.ms.internal.nhwc", "com.microsoft.dml", "ai.onnx.preview",
    "org.pytorch.aten",
)  # fmt: skip
_PYTHON = ("PyOp", "PythonOp", "PythonOpGrad", "PyCustomOp")


def _of_whole(whole: Whole) -> Iterator[Finding]:
    source, piece = whole.piece.window.source, whole.piece
    if not whole.is_format("onnx") or source is None:
        return
    used: dict[tuple[str, str], int] = {}
    defined: set[tuple[str, str]] = set()
    for kind, field in parts(source, piece.limits):
        if kind == "function":
            name, domain = texts(field, 1, 10)
            defined.add((domain, name))
        elif kind == "node":
            operator, domain = texts(field, 4, 7)
            used.setdefault((domain, operator), field.at)
    for (domain, operator), at in used.items():
        shown = printable(f"{domain}::{operator}" if domain else operator, code=True, limit=100)
        if operator in _PYTHON and (domain, operator) not in defined:
            yield piece.unsafe(ID, f"operator {shown} calls a Python function that the file names", at)
        elif domain not in _PUBLIC and (domain, operator) not in defined:
            yield piece.unknown(ID, f"operator {shown} is computed by somebody's own library", at)


RULE = Rule(ID, "ONNX operators of other libraries", "the domain of every node, also in functions", None, _of_whole)
