"""Files that name other files: shard indexes, manifests, assets, Modelfiles, and links."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

from modelglot.containers import modelfile
from modelglot.core.errors import ModelFileError, printable
from modelglot.core.notes import Finding
from modelglot.features.scan.look import Look, Pairs, Whole, objects, values
from modelglot.features.scan.names import escapes
from modelglot.features.scan.piece import Piece
from modelglot.features.scan.rules.rule import Rule
from modelglot.sources.file import link_stays

ID = "path-outside"
_HINT = "nothing outside the folder is opened here; other loaders may follow it"
_DIGEST = re.compile(r"sha256[:-][0-9a-f]{64}\Z")
_STORE = re.compile(r"(^|[\\/])blobs[\\/]sha256[:-][0-9a-f]{64}\Z")
_PRIVATE = re.compile(
    r"^/(etc|proc|sys|dev|root|run|var)/|/\.(ssh|aws|gnupg|netrc|kube|docker|config|cache/huggingface/token)"
)
_MANIFEST = "application/vnd.docker.distribution.manifest"


def _of_part(look: Look) -> Iterator[Finding]:
    if isinstance(look.json, Pairs):
        for what, name in _named(look.name, look.json):
            why = escapes(name)
            if why is not None:
                yield _finding(look.piece, what, name, why)
        if any(str(v).startswith(_MANIFEST) for v in values(look.json, "mediaType")):
            yield from _manifest(look.piece, look.json)
    elif look.name == "modelfile" or (look.suffix in ("", "modelfile", "txt") and _is_modelfile(look)):
        yield from _modelfile(look)


def _named(name: str, document: Pairs) -> Iterator[tuple[str, str]]:
    """(what names it, name of a file)"""
    for found in values(document, "weight_map"):
        for _, shard in found if isinstance(found, Pairs) else ():
            if isinstance(shard, str):
                yield "the shard index", shard
            elif isinstance(shard, list):
                yield from (("the shard index", s) for s in shard if isinstance(s, str))
    if name == "manifest.json":
        for item in objects(document):
            yield from (("the manifest", v) for v in values(item, "path") if isinstance(v, str))
    if name == "modules.json":
        for item in objects(document):
            yield from (("the list of modules", v) for v in values(item, "path") if isinstance(v, str))


def _manifest(piece: Piece, document: Pairs) -> Iterator[Finding]:
    """Ollama CVE-2024-37032: a digest becomes the name of a file."""
    for item in objects(document):
        for digest in values(item, "digest"):
            if not isinstance(digest, str) or not _DIGEST.match(digest):
                yield _finding(
                    piece, "the manifest", str(digest), "is no SHA-256 digest, and becomes the name of a file"
                )
        for size in values(item, "size"):
            if not isinstance(size, int) or size < 0:
                yield piece.unknown(ID, "the manifest has a layer of an impossible size")


def _is_modelfile(look: Look) -> bool:
    return look.piece.window.length < 1 << 20 and look.is_text and modelfile.looks_like(look.piece.head(4096))


def _modelfile(look: Look) -> Iterator[Finding]:
    try:
        found = modelfile.parse((look.text or "").encode())
    except ModelFileError as error:
        yield look.piece.incomplete(f"the Modelfile does not read: {error.what}", error.offset)
        return
    for word in ("FROM", "ADAPTER", "DRAFT"):
        for name in found.values(word):
            why = None if _STORE.search(name) and ".." not in name else escapes(name)
            if why is not None:
                yield _finding(look.piece, f"{word} of the Modelfile", name, why)


def _of_whole(whole: Whole) -> Iterator[Finding]:
    """Links of the file itself: the cache of the Hub has its own, from snapshots to blobs."""
    path = whole.piece.path
    if not os.path.islink(path) or whole.files is None:
        return
    if not link_stays(path, whole.files.root):
        shown = printable(os.readlink(path), code=True)
        make = whole.piece.unsafe if _PRIVATE.search(os.path.realpath(path)) else whole.piece.unknown
        yield make(ID, f"this is a link to {shown}, outside its folder", None, "if the link is yours, scan its target")


def _finding(piece: Piece, what: str, name: Any, why: str) -> Finding:
    return piece.unsafe(ID, f"{what} names {printable(str(name), code=True, limit=120)}, which {why}", None, _HINT)


RULE = Rule(
    ID,
    "A name that leaves the folder",
    "shard indexes, manifests of Core ML and Ollama, Modelfiles, modules.json, symbolic links",
    _of_part,
    _of_whole,
)
