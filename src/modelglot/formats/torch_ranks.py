"""State dicts that each process saved with ``torch.save``: DTensors or ShardedTensors, one file a rank, whole again.

Source: what pickles of ``torch.distributed.tensor.DTensor`` and ``ShardedTensor`` hold in PyTorch 2.1 to 2.13; verl and
training scripts around FSDP name the files ``model_world_size_8_rank_0.pt``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from math import prod
from typing import Any, NamedTuple

from modelglot.containers.torch_checkpoint.hazards import folder_hazards
from modelglot.containers.torch_checkpoint.ranks import RankFile, items, read_ranks, size
from modelglot.core.errors import DamagedFileError, InvalidFileError, UnsupportedError, located, printable
from modelglot.core.format import FileSet, FormatInfo, Match, Probe, ReadOnly
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.core.notes import Finding, Note
from modelglot.core.tensor import Missing, Tensor
from modelglot.core.tree import Inert, Node, TensorRef, path_name, walk
from modelglot.core.views import assembled

_FILE = re.compile(r"^(?P<stem>.*?)(?:world_size_(?P<world>\d+)_)?rank_?(?P<rank>\d+)(?P<tail>\.(?:pt|pth|bin|ckpt))$")
_REBUILD = "torch._tensor._rebuild_from_type_v2"  # called with a function, the class, arguments and the state
_DTENSOR, _SHARDED = "DTensor", "ShardedTensor"


class TorchRanks(ReadOnly):
    info = FormatInfo(
        name="torch-ranks",
        title="PyTorch, a file a rank",
        suffixes=(),
        spec="https://docs.pytorch.org/docs/stable/distributed.tensor.html",
        can=frozenset({"read", "tree", "folder"}),
        framework="pt",
        blurb="state dicts of DTensors or ShardedTensors (FSDP), saved by each process: `model_rank_0.pt` ...",
    )
    instead = "write `--to dcp`, or one .pt file"

    def sniff(self, probe: Probe) -> Match | None:
        if not probe.is_folder:
            return None
        groups = _groups(n for n in probe.names if "/" not in n).values()
        if any(m["world"] not in (None, "1") for group in groups for m in group.values()):
            return Match(91, "holds PyTorch files named by world size and rank")
        return Match(72, "holds a PyTorch file for each rank") if any(len(g) > 1 for g in groups) else None

    def read(self, files: FileSet, limits: Limits) -> Model:
        names, notes = _chosen(files)
        with located(path=files.root):
            ranks = read_ranks(files, names, limits)
            found = [dict(_entries(rank)) for rank in ranks]
            if not any(isinstance(value, Inert) for entries in found for value in entries.values()):
                raise InvalidFileError("the files of the ranks hold no distributed tensors", hint="name one of them")
            tensors: dict[str, Tensor] = {}
            for name, value in found[0].items():
                with located(tensor=name):
                    tensors[name] = _whole(name, value, [(r, f.get(name)) for r, f in zip(ranks, found, strict=True)])
        tree = _tree(ranks[0].model.tree, (), tensors)
        own = [n for rank in ranks for n in rank.model.notes if n.level == "warning"]
        return Model(self.info.name, files.refs(), tensors, f"{len(ranks)} ranks", tree=tree,
                     notes=tuple(dict.fromkeys((*notes, *own))))  # fmt: skip

    def hazards(self, files: FileSet, limits: Limits) -> Iterable[Finding]:
        return folder_hazards(files, limits)


def _groups(names: Iterable[str]) -> dict[tuple[str, str], dict[int, re.Match[str]]]:
    """Files that differ only in their rank."""
    found: dict[tuple[str, str], dict[int, re.Match[str]]] = {}
    for match in filter(None, map(_FILE.match, names)):
        found.setdefault((match["stem"], match["tail"]), {})[int(match["rank"])] = match
    return found


def _chosen(files: FileSet) -> tuple[list[str], list[Note]]:
    """The files of the model: of several groups the one that says so."""
    groups = _groups(n for n in files.names() if "/" not in n)
    models = [key for key in groups if "model" in key[0]] or list(groups)
    if len(models) != 1:
        shown = ", ".join(printable(f"{stem}*", code=True) for stem, _ in groups)
        raise InvalidFileError(f"{len(groups)} groups of files could be meant: {shown}", path=files.root)
    stem, group = models[0][0], groups[models[0]]
    worlds = {int(m["world"]) for m in group.values() if m["world"]}
    missing = [n for n in range(max(max(group) + 1, *worlds) if worlds else max(group) + 1) if n not in group]
    if missing:
        raise DamagedFileError(f"the file of rank {missing[0]} is missing", path=files.root)
    others = ", ".join(printable(f"{s}*", code=True) for s, _ in groups if s != stem)
    notes = [Note("other-weights", f"the folder also holds {others}, not read")] if others else []
    return [group[rank][0] for rank in sorted(group)], notes


def _entries(rank: RankFile) -> Iterator[tuple[str, Any]]:
    """(name, distributed tensor or reference to a plain one) of a file."""
    inside: list[tuple[Any, ...]] = []
    for path, value in walk(rank.model.tree):
        if inside and path[: len(inside[-1])] == inside[-1]:
            continue
        if _kind(value):
            inside.append(path)
            yield path_name(path), value
        elif isinstance(value, TensorRef):
            yield path_name(path), value


def _kind(value: Any) -> str | None:
    """`DTensor` or `ShardedTensor`, for a value that is one."""
    if not isinstance(value, Inert) or value.global_ != _REBUILD or len(value.args) != 4:
        return None
    kind = value.args[1].global_.rpartition(".")[2] if isinstance(value.args[1], Inert) else ""
    return kind if kind in (_DTENSOR, _SHARDED) else None


class _Piece(NamedTuple):
    origin: tuple[int, ...]
    tensor: Tensor


def _whole(name: str, first: Any, ranks: list[tuple[RankFile, Any]]) -> Tensor:
    """One tensor of all ranks' pieces; what is no distributed tensor is that of rank 0."""
    if isinstance(first, TensorRef):
        return replace(ranks[0][0].model.tensors[first.name], name=name)
    kind = _kind(first)
    if any(_kind(value) != kind for _, value in ranks):
        raise InvalidFileError("is distributed on some ranks only")
    shape, pieces = _of_dtensors(ranks) if kind == _DTENSOR else _of_shards(ranks)
    unique = {piece.origin: piece for piece in reversed(pieces)}  # replicas lie at the same place
    kept = [(p.origin, p.tensor) for p in unique.values() if p.tensor.numel]
    for origin, tensor in kept:
        if len(origin) != len(shape) or any(o + n > s for o, n, s in zip(origin, tensor.shape, shape, strict=False)):
            raise InvalidFileError(f"a piece of {list(tensor.shape)} at {list(origin)} lies outside of {list(shape)}")
    if sum(tensor.numel for _, tensor in kept) != prod(shape):
        raise InvalidFileError(f"the pieces do not cover the shape {list(shape)}")
    return assembled(Tensor(name, pieces[0].tensor.dtype, shape, Missing("")), kept)


def _of_dtensors(ranks: list[tuple[RankFile, Any]]) -> tuple[tuple[int, ...], list[_Piece]]:
    """Placements say along which axis each axis of the mesh of processes cuts; coordinates, which piece a rank has."""
    told = [_Spec.of(rank, number, value) for number, (rank, value) in enumerate(ranks)]
    first = told[0]
    axes = range(len(first.placements))
    if any((t.shape, t.placements, len(t.place)) != (first.shape, first.placements, len(axes)) for t in told):
        raise InvalidFileError("the ranks do not agree on shape and placement")
    counts = [max(t.place[axis] for t in told) + 1 for axis in axes]
    pieces = []
    for spec in told:
        origin, extent = [0] * len(first.shape), list(first.shape)
        for axis, cut in enumerate(first.placements):
            if cut is None:
                continue
            chunk = -(-extent[cut] // counts[axis])  # as torch.chunk cuts: the last ones may be smaller, or empty
            begin = min(spec.place[axis] * chunk, extent[cut])
            origin[cut], extent[cut] = origin[cut] + begin, min(chunk, extent[cut] - begin)
        if spec.local.shape != tuple(extent):
            raise InvalidFileError(f"a piece has the shape {list(spec.local.shape)}, not {extent}")
        pieces.append(_Piece(tuple(origin), spec.local))
    return first.shape, pieces


class _Spec(NamedTuple):
    """What one rank says of a DTensor. ``placements`` has the axis that is cut, or None for a copy."""

    shape: tuple[int, ...]
    placements: tuple[int | None, ...]
    place: tuple[int, ...]
    local: Tensor

    @classmethod
    def of(cls, rank: RankFile, number: int, value: Inert) -> _Spec:
        state = value.args[3]
        state = state.items[-1] if isinstance(state, Node) and state.kind == "tuple" and state.items else state
        spec = state.get("_spec") if isinstance(state, Node) and state.is_mapping else None
        body = spec.attributes() if isinstance(spec, Inert) else None
        if body is None or not isinstance(state, Node):
            raise InvalidFileError("a DTensor without its specification", member=rank.name)
        meta = body.get("tensor_meta")
        if not isinstance(meta, Inert) or not meta.args:
            raise InvalidFileError("a DTensor without its shape", member=rank.name)
        placements = tuple(_axis(p) for p in items(body.get("placements"), "placements"))
        mesh = body.get("mesh")
        place = mesh.attributes() if isinstance(mesh, Inert) else None
        coordinate = place.get("_coordinate_on_dim") if place is not None else None
        where = size(coordinate, "the coordinate") if isinstance(coordinate, Node) else (number,)
        return cls(
            size(meta.args[0], "the shape"), placements, where, rank.tensor(state.get("_local_tensor"), "a piece")
        )


def _axis(placement: Any) -> int | None:
    kind = placement.global_.rpartition(".")[2] if isinstance(placement, Inert) else ""
    if kind == "Replicate":
        return None
    body = placement.attributes() if isinstance(placement, Inert) else None
    axis = body.get("dim") if body is not None else None
    if kind != "Shard" or type(axis) is not int or axis < 0:
        raise UnsupportedError(f"the placement {printable(kind or repr(placement)[:40], code=True)}")
    return axis


def _of_shards(ranks: list[tuple[RankFile, Any]]) -> tuple[tuple[int, ...], list[_Piece]]:
    """ShardedTensor: every rank has its shards with their offsets, and the metadata of the whole."""
    pieces: list[_Piece] = []
    shape: tuple[int, ...] = ()
    for rank, value in ranks:
        parts = items(value.args[3], "a ShardedTensor")
        if len(parts) < 2:
            raise InvalidFileError("a ShardedTensor without shards and metadata", member=rank.name)
        body = parts[1].attributes() if isinstance(parts[1], Inert) else None
        shape = size(body.get("size") if body is not None else None, "the shape")
        for shard in items(parts[0], "shards"):
            held = shard.attributes() if isinstance(shard, Inert) else None
            meta = held.get("metadata") if held is not None else None
            where = meta.attributes() if isinstance(meta, Inert) else None
            if held is None or where is None:
                raise InvalidFileError("a shard without its place", member=rank.name)
            origin = size(where.get("shard_offsets"), "the place of a shard")
            pieces.append(_Piece(origin, rank.tensor(held.get("tensor"), "a shard")))
    return shape, pieces


def _tree(value: Any, path: tuple[Any, ...], tensors: dict[str, Tensor]) -> Any:
    """The nesting of rank 0 with references to whole tensors."""
    if _kind(value) or isinstance(value, TensorRef):
        return TensorRef(path_name(path))
    if not isinstance(value, Node) or len(path) > 60:
        return value
    if value.is_mapping:
        return Node(value.kind, [(key, _tree(item, (*path, key), tensors)) for key, item in value.items])
    return Node(value.kind, [_tree(item, (*path, number), tensors) for number, item in enumerate(value.items)])


FORMAT = TorchRanks()
