"""ONNX weights in other files: names that leave the folder, links, keys that set more than a place.

CVE-2022-25882, CVE-2024-27318, CVE-2024-5187, CVE-2026-27489 (links), CVE-2026-34445 (keys).
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from modelglot.core.errors import CannotOpenError, UnsafeContentError, printable
from modelglot.core.notes import Finding
from modelglot.features.scan.look import Whole
from modelglot.features.scan.names import escapes
from modelglot.features.scan.onnx_walk import entries, parts, texts
from modelglot.features.scan.rules.rule import Rule

ID = "onnx-external"
_KEYS = ("location", "offset", "length", "checksum", "basepath")
_HINT = "the file is not opened here; other readers may open it"
_MOST = 20


def _of_whole(whole: Whole) -> Iterator[Finding]:
    source, piece = whole.piece.window.source, whole.piece
    if not whole.is_format("onnx") or source is None:
        return
    said: set[tuple[str, str]] = set()
    for kind, field in parts(source, piece.limits):
        if kind != "tensor":
            continue
        for key, value in entries(field, 13):
            if (key, value) in said or (key in ("offset", "length", "checksum")):
                continue
            said.add((key, value))
            tensor = printable(texts(field, 8)[0], code=True, limit=60)
            problem = _problem(whole, key, value)
            if problem is not None:
                severe, what = problem
                make = piece.unsafe if severe else piece.unknown
                yield make(ID, f"tensor {tensor} {what}", field.at, _HINT)
        if len(said) > 100_000:
            yield piece.incomplete("more than 100,000 names of other files")
            return


def _problem(whole: Whole, key: str, value: str) -> tuple[bool, str] | None:
    shown = printable(value, code=True, limit=120)
    if key not in _KEYS:
        return False, f"sets {printable(key, code=True, limit=60)} of its place, which no specification has"
    why = escapes(value)
    if why is not None:
        return True, f"lies in {shown}, which {why}"
    if key != "location" or not value or whole.files is None:
        return None
    try:
        whole.files.open(value)
    except UnsafeContentError:
        return True, f"lies in {shown}, a link that leaves the folder"
    except CannotOpenError:
        path = os.path.join(whole.files.root, *value.replace("\\", "/").split("/"))
        return (True, f"lies in {shown}, which is no regular file") if os.path.lexists(path) else None
    return None


RULE = Rule(ID, "ONNX weights outside the folder", "external data, also in subgraphs and functions", None, _of_whole)
