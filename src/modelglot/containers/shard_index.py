"""Hugging Face's shard index: ``{"metadata": {...}, "weight_map": {tensor: file}}``, and models in shards.

The same JSON lies beside safetensors and PyTorch shards. Specification: huggingface.co/docs/transformers, "big models".
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from modelglot.containers import strict_json
from modelglot.core.dtype import dtype
from modelglot.core.errors import DamagedFileError, InvalidFileError, located, printable
from modelglot.core.format import FileSet
from modelglot.core.limits import Limits
from modelglot.core.metadata import Entry, Metadata
from modelglot.core.model import Model
from modelglot.core.notes import Note
from modelglot.core.tensor import Missing, Tensor

SHARD = re.compile(r"^(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<suffix>\.[A-Za-z0-9]+)$")


class ShardIndex(NamedTuple):
    """``weight_map`` as stored; ``metadata`` is the index's own (``total_size`` and whatever else)."""

    name: str
    metadata: dict[str, object]
    weight_map: dict[str, str]

    def shards(self) -> list[str]:
        """File names, each once, sorted."""
        return sorted(set(self.weight_map.values()))


def read_index(files: FileSet, name: str, limits: Limits) -> ShardIndex:
    """Raises InvalidFileError where it is not such an index. Names are not followed here."""
    source = files.open(name)
    limits.check("index", source.size, "the shard index")
    with located(path=source.path):
        found = strict_json.loads(source.pread(0, source.size), what="the shard index")
        if not isinstance(found, dict) or not isinstance(found.get("weight_map"), dict):
            raise InvalidFileError("a shard index needs an object `weight_map`")
        weights = found["weight_map"]
        for tensor, shard in weights.items():
            if not isinstance(shard, str):
                raise InvalidFileError(f"`weight_map` gives {printable(repr(shard))}, not a file name", tensor=tensor)
    metadata = found.get("metadata")
    return ShardIndex(name, metadata if isinstance(metadata, dict) else {}, weights)


def index_bytes(weight_map: dict[str, str], total_size: int) -> bytes:
    """The index as Hugging Face writes it: two-space JSON, keys sorted in the map, a newline at the end."""
    value = {"metadata": {"total_size": total_size}, "weight_map": dict(sorted(weight_map.items()))}
    return (json.dumps(value, indent=2) + "\n").encode()


def read_sharded(
    files: FileSet,
    limits: Limits,
    index: ShardIndex,
    read_one: Callable[[str], Model],
    format_name: str,
    *,
    damaged: bool = False,
) -> Model:
    """All shards of an index as one model, in the order of the index.

    A shard that is not there leaves `Missing` tensors and a warning; a tensor in another shard than the index says,
    or in none, is an InvalidFileError; tensors the index does not know are kept, with a warning. Where files may be
    ``damaged``, one that cannot be read is like one that is not there.
    """
    there = files.present(shard for shard in index.shards() if not _escapes(shard))
    parts: dict[str, Model] = {}
    notes: list[Note] = []
    for shard in index.shards():
        if shard not in there and not _escapes(shard):
            missing = sum(1 for s in index.weight_map.values() if s == shard)
            notes.append(
                Note("missing-shard", f"shard {printable(shard, code=True)} is missing: {missing:,} tensors", "warning")
            )
            continue
        try:
            parts[shard] = read_one(shard)  # a name that leaves the folder is refused on opening
        except (DamagedFileError, InvalidFileError) as error:
            if not damaged:
                raise
            notes.append(Note("bad-shard", f"shard {printable(shard, code=True)}: {error.what}", "warning"))
    files.index(index.name, "side")
    tensors: dict[str, Tensor] = {}
    for name, shard in index.weight_map.items():
        if shard in parts:
            found = parts[shard].tensors.get(name)
            if found is None and damaged:
                found = Tensor(name, dtype("opaque"), (0,), Missing(f"shard {shard} does not have it"))
            if found is None:
                raise InvalidFileError(
                    f"the index puts it in {printable(shard, code=True)}, which does not have it",
                    path=f"{files.root}/{index.name}",
                    tensor=name,
                )
            tensors[name] = found
        else:
            tensors[name] = Tensor(name, dtype("opaque"), (0,), Missing(f"shard {shard} is missing"))
    for shard, part in parts.items():
        extra = [n for n in part.tensors if index.weight_map.get(n) != shard]
        clash = [n for n in extra if n in tensors]
        if clash:
            notes.append(
                Note(
                    "tensor-twice",
                    f"{printable(shard, code=True)} also holds {len(clash)} tensors "
                    f"that the index takes from another shard, such as {printable(clash[0], code=True)}",
                    "warning",
                )
            )
        surplus = [n for n in extra if n not in tensors]
        if surplus:
            notes.append(
                Note(
                    "not-in-index",
                    f"{len(surplus)} tensors of {printable(shard, code=True)} are not in "
                    f"the index, such as {printable(surplus[0], code=True)}",
                    "warning",
                )
            )
        tensors.update({n: part.tensors[n] for n in surplus})
        notes.extend(part.notes)
    limits.check("tensors", len(tensors), "tensors")
    notes.extend(_surplus(index.shards(), files.names()))
    merged: dict[str, Entry] = {}
    for part in parts.values():
        merged.update(part.metadata.entries())
    return Model(format_name, files.refs(), tensors, "sharded", Metadata(merged), None, (), tuple(dict.fromkeys(notes)))


def _escapes(name: str) -> bool:
    return name.startswith(("/", "~")) or ".." in re.split(r"[\\/]", name) or "\0" in name or ":" in name


def _surplus(wanted: list[str], there: Iterable[str]) -> Iterable[Note]:
    """Shard-like files of the same set that no index entry names."""
    known = {(m["stem"], m["suffix"]) for m in map(SHARD.match, wanted) if m}
    for name in sorted(set(there) - set(wanted)):
        m = SHARD.match(name)
        if m and (m["stem"], m["suffix"]) in known:
            yield Note(
                "surplus-shard",
                f"{printable(name, code=True)} looks like a shard but the index does not name it",
                "warning",
            )
