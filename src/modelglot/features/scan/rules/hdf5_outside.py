"""HDF5 files that make their reader open others: external storage, links, virtual datasets (CVE-2026-1669)."""

from __future__ import annotations

from collections.abc import Iterator

from modelglot.core.errors import UnsafeContentError, printable
from modelglot.core.notes import Finding
from modelglot.features.scan.look import Look
from modelglot.features.scan.rules.rule import Rule

ID = "hdf5-outside"
_HINT = "opening this file elsewhere reads other files of that machine"


def _of_part(look: Look) -> Iterator[Finding]:
    try:
        found = look.hdf5
    except UnsafeContentError as error:  # a link into another file
        yield look.piece.unsafe(ID, error.what, None, _HINT)
        return
    for path, said in found.datasets if found is not None else ():
        shown = printable(path, code=True, limit=100)
        if said.get("external"):
            yield look.piece.unsafe(ID, f"dataset {shown} keeps its values in other files", None, _HINT)
        elif said.get("virtual"):
            yield look.piece.unsafe(ID, f"dataset {shown} is put together of other files' datasets", None, _HINT)


RULE = Rule(ID, "HDF5 that opens other files", "external storage, external links, virtual datasets", _of_part)
