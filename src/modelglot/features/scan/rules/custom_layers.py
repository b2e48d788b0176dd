"""Layers that the file only names: Core ML's custom ones, TensorFlow Lite's, extensions of OpenVINO."""

from __future__ import annotations

import re
from collections.abc import Iterator

from modelglot.containers.tensorflow.hazards import OPERATORS
from modelglot.containers.xml_tree import parse
from modelglot.core.errors import printable
from modelglot.core.notes import Finding
from modelglot.features.scan.look import Whole
from modelglot.features.scan.rules.rule import Rule
from modelglot.formats.tflite.operators import OPERATORS as BUILTIN

ID = "custom-layer"
_OPSET = re.compile(r"(opset\d+|ie_internal_opset|extension_opset|experimental)?\Z")
_KNOWN = ("TFLite_Detection_PostProcess",)  # comes with the runtime


def _of_whole(whole: Whole) -> Iterator[Finding]:
    if whole.is_format("openvino") and whole.look.piece.head(64).lstrip().startswith(b"<"):
        yield from _openvino(whole)
    if whole.model is None:
        return
    for note in whole.model.notes:
        if note.code == "no-weights" and any(kind in note.text for kind in ("customModel", "linkedModel")):
            yield whole.piece.unknown(ID, f"a part is a class or a model of the application that loads it: {note.text}")
    for operator in whole.model.graph.operators if whole.model.graph is not None else ():
        shown = printable(operator, code=True, limit=80)
        if whole.is_format("coreml") and operator.startswith("custom"):
            yield whole.piece.unknown(ID, f"layer {shown} is a class of the application that loads it")
        elif whole.is_format("paddle") and operator == "py_func":
            yield whole.piece.unknown(ID, "operator `py_func` calls a Python function of the process")
        elif whole.is_format("tflite") and operator not in BUILTIN and operator not in _KNOWN:
            flex = operator.removeprefix("Flex")  # an operator of TensorFlow inside
            if flex != operator and flex in OPERATORS:
                yield whole.piece.unsafe(ID, f"operator {shown} {OPERATORS[flex]}")
            elif flex == operator:
                yield whole.piece.unknown(ID, f"operator {shown} is computed by somebody's own library")


def _openvino(whole: Whole) -> Iterator[Finding]:
    window = whole.piece.window
    whole.piece.limits.check("header", window.length, "the graph")
    seen: set[str] = set()
    stack = [parse(window.read(0, window.length), whole.piece.limits)]
    while stack:
        element = stack.pop()
        stack += element.children
        version = element.get("version")
        if element.tag == "layer" and not _OPSET.match(version) and (kind := element.get("type")) not in seen:
            seen.add(kind)
            shown = f"{printable(kind, code=True)} of {printable(version, code=True)}"
            yield whole.piece.unknown(ID, f"layer {shown} is computed by somebody's own library")


RULE = Rule(ID, "Layers that somebody's own library computes", "Core ML, TensorFlow Lite, OpenVINO", None, _of_whole)
