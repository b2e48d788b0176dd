"""Ollama's own store as a source: a manifest names blobs by their digests, one of them the model, a GGUF file."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from typing import Any

from modelglot.containers import strict_json
from modelglot.core.errors import CannotOpenError, DamagedFileError, InvalidFileError, printable
from modelglot.core.limits import Limits
from modelglot.core.model import SideFile
from modelglot.sources.file import FileSource

SCHEME = "ollama://"
_MEDIA = "application/vnd.ollama.image."
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_SMALL = 1 << 20
_BETWEEN = f"{os.sep}manifests{os.sep}"
_SIDES = {"template": "Go template of Ollama", "params": "parameters of Ollama", "system": "system text",
          "license": "licence", "messages": "messages of Ollama"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stored:
    """``model`` is the path of the model's blob; ``others`` counts layers that are not carried, such as adapters.
    ``loaded`` are the paths of all that is not text, the model first."""

    model: str
    sides: tuple[SideFile, ...]
    others: tuple[str, ...]
    loaded: tuple[str, ...]


def find(path: str, limits: Limits | None = None) -> Stored | None:
    """What an ``ollama://name:tag`` or a manifest file stands for; None for any other path.

    Raises CannotOpenError, DamagedFileError for a blob of another size or digest, InvalidFileError.
    """
    if path.startswith(SCHEME):
        path = _manifest(path.removeprefix(SCHEME))
    elif not _is_manifest(path):
        return None
    with FileSource(path) as source:
        (limits or Limits()).check("header", source.size, "the manifest")
        found = strict_json.loads(source.pread(0, source.size), what="the manifest")
    layers = found.get("layers") if isinstance(found, dict) else None
    if not isinstance(layers, list) or not all(isinstance(layer, dict) for layer in layers):
        raise InvalidFileError("the manifest has no layers", path=path)
    blobs = _blobs(path)
    models, sides, others = [], [], dict[str, str]()
    for layer in layers:
        kind = str(layer.get("mediaType")).removeprefix(_MEDIA)
        blob = _blob(blobs, layer, path)
        if kind == "model":
            models.append(blob)
        elif kind in _SIDES:
            sides.append(SideFile(kind, None, _SIDES[kind], _small(blob)))
        else:
            others[blob] = kind
    if len(models) != 1:
        raise InvalidFileError(f"the manifest names {len(models)} models", path=path, hint="expected one GGUF blob")
    return Stored(models[0], tuple(sides), tuple(others.values()), (models[0], *others))


def _blobs(path: str) -> str:
    return os.path.join(os.path.abspath(path).rsplit(_BETWEEN, 1)[0], "blobs")


def _is_manifest(path: str) -> bool:
    """A small file of JSON under ``manifests``, which has ``blobs`` beside it."""
    if _BETWEEN not in os.path.abspath(path) or not os.path.isfile(path) or not os.path.isdir(_blobs(path)):
        return False
    with FileSource(path) as source:
        return 0 < source.size <= _SMALL and source.pread(0, 1) == b"{"


def _manifest(name: str) -> str:
    """The manifest of ``[HOST/][NAMESPACE/]NAME[:TAG]`` in the store of this machine."""
    store = os.environ.get("OLLAMA_MODELS") or os.path.join(os.path.expanduser("~"), ".ollama", "models")
    base, _, tag = name.partition(":")
    parts = [*base.split("/"), tag or "latest"]
    if len(parts) > 4 or not all(_PART.fullmatch(part) for part in parts):
        raise InvalidFileError(f"{printable(name, code=True)} is no name of a model", hint="write `ollama://NAME:TAG`")
    whole = [*("registry.ollama.ai", "library")[: 4 - len(parts)], *parts]
    path = os.path.join(store, "manifests", *whole)
    if not os.path.isfile(path):
        raise CannotOpenError("no such model in the store of Ollama", path=path, hint="`ollama list` names them")
    return path


def _blob(blobs: str, layer: dict[str, Any], manifest: str) -> str:
    """The path of a layer's blob, whose size must be the one that the manifest says."""
    found = _DIGEST.fullmatch(str(layer.get("digest")))
    if not found:
        shown = printable(str(layer.get("digest")), code=True)
        raise InvalidFileError(f"{shown} is no sha256 digest", path=manifest)
    path = os.path.join(blobs, f"sha256-{found[1]}")
    with FileSource(path) as source:
        if isinstance(layer.get("size"), int) and source.size != layer["size"]:
            raise DamagedFileError(
                f"the blob has {source.size:,} bytes; the manifest says {layer['size']:,}",
                path=path,
                hint="`ollama pull` brings it again",
            )
    return path


def _small(path: str) -> bytes:
    """A text blob, held against its digest."""
    with FileSource(path) as source:
        if source.size > _SMALL:
            raise InvalidFileError(f"a text of {source.size:,} bytes", path=path)
        data = source.pread(0, source.size)
    if hashlib.sha256(data).hexdigest() != os.path.basename(path).removeprefix("sha256-"):
        raise DamagedFileError("the blob is not what its name says", path=path, hint="`ollama pull` brings it again")
    return data
