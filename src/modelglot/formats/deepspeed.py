"""DeepSpeed ZeRO, stages 1 to 3: float32 weights that lie flattened and cut over one file a process, whole again.

Source: the behaviour of DeepSpeed's ``zero_to_fp32.py`` (0.9 to 0.19).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from math import prod
from typing import Any

from modelglot.containers.torch_checkpoint.hazards import folder_hazards
from modelglot.containers.torch_checkpoint.ranks import RankFile, items, mapping, read_ranks, scalars, size
from modelglot.core.errors import DamagedFileError, InvalidFileError, UnsupportedError, located, printable
from modelglot.core.format import FileSet, FormatInfo, Match, Probe, ReadOnly
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.core.notes import Finding, Note
from modelglot.core.tensor import Tensor
from modelglot.core.tree import Inert, Node, TensorRef
from modelglot.core.views import joined, reshaped, run

_OPTIMIZER = re.compile(r"^(?:bf16_|fp16_)?zero_pp_rank_(?P<rank>\d+)_mp_rank_(?P<slice>\d+)_optim_states\.pt$")
_WEIGHTS = re.compile(r"^(?:zero_pp_rank_(?P<rank>\d+)_)?mp_rank_(?P<slice>\d+)_model_states\.pt$")
_KEY = "optimizer_state_dict"
Shapes = list[tuple[str, tuple[int, ...]]]


class DeepSpeed(ReadOnly):
    info = FormatInfo(
        name="deepspeed",
        title="DeepSpeed ZeRO",
        suffixes=(),
        spec="https://deepspeed.readthedocs.io/en/latest/model-checkpointing.html",
        can=frozenset({"read", "tree", "folder"}),
        framework="pt",
        blurb="a folder of flat float32 parts, one a process (stages 1 to 3); read as whole weights",
    )
    instead = "write a .pt file; DeepSpeed cuts it again"

    def sniff(self, probe: Probe) -> Match | None:
        if not probe.is_folder:
            return None
        names = [n.rpartition("/")[2] for n in probe.names]
        if any(map(_OPTIMIZER.match, names)) and any(map(_WEIGHTS.match, names)):
            return Match(94, "holds ZeRO partitions, *_optim_states.pt")
        return None

    def read(self, files: FileSet, limits: Limits) -> Model:
        folder, notes = _folder(files)
        optimizers = _numbered(files, folder, _OPTIMIZER)
        weights = read_ranks(files, _numbered(files, folder, _WEIGHTS), limits)
        ranks = read_ranks(files, optimizers, limits)
        for name in files.names():  # scripts and settings that DeepSpeed leaves in the folder
            if name.startswith(folder) or name in ("latest", "zero_to_fp32.py", "zero_to_torch.py"):
                files.index(name, "side")
        if not weights:
            raise DamagedFileError("no *_model_states.pt is there", path=f"{files.root}/{folder}")
        with located(path=f"{files.root}/{folder}".rstrip("/")):
            found = _Checkpoint(weights, ranks)
            tensors = found.tensors()
        own = [n for part in (*weights, *ranks) for n in part.model.notes if n.level == "warning"]
        return Model(self.info.name, files.refs(), tensors, f"ZeRO-{found.stage}", tree=found.tree(tensors),
                     notes=tuple(dict.fromkeys((*notes, *own))))  # fmt: skip

    def hazards(self, files: FileSet, limits: Limits) -> Iterable[Finding]:
        return folder_hazards(files, limits)


def _folder(files: FileSet) -> tuple[str, list[Note]]:
    """The folder of the step that ``latest`` names, or the newest one, with a ``/``."""
    folders = {n.rpartition("/")[0] for n in files.names() if _OPTIMIZER.match(n.rpartition("/")[2])}
    if not folders:
        raise DamagedFileError("no *_optim_states.pt is there", path=files.root)
    if "" in folders:
        return "", []
    latest = ""
    if "latest" in files.names():
        source = files.open("latest")
        latest = source.pread(0, min(source.size, 200)).decode("utf-8", "replace").strip()
    chosen = latest if latest in folders else max(folders, key=lambda f: [int(n) for n in re.findall(r"\d+", f)])
    others = ", ".join(printable(f) for f in sorted(folders - {chosen})[:6])
    return f"{chosen}/", [Note("other-steps", f"{printable(chosen)} is read; also there: {others}")] if others else []


def _numbered(files: FileSet, folder: str, pattern: re.Pattern[str]) -> list[str]:
    """Files of a kind in the order of their ranks. Raises DamagedFileError for a rank that is missing."""
    found: dict[int, str] = {}
    for name in files.names():
        match = pattern.match(name[len(folder) :]) if name.startswith(folder) else None
        if match is None:
            continue
        if int(match["slice"]):
            raise UnsupportedError(
                "tensor-parallel ranks below ZeRO are not joined", path=f"{files.root}/{name}",
                hint="convert the checkpoint with DeepSpeed's ds_to_universal.py first",
            )  # fmt: skip
        found[int(match["rank"] or 0)] = name
    missing = [n for n in range(max(found, default=-1) + 1) if n not in found]
    if missing:
        raise DamagedFileError(f"the file of rank {missing[0]} is missing", path=f"{files.root}/{folder}".rstrip("/"))
    return [found[n] for n in sorted(found)]


class _Checkpoint:
    def __init__(self, weights: list[RankFile], ranks: list[RankFile]) -> None:
        self.weights, self.ranks = weights, ranks
        self.stage = _stage(ranks[0])
        count = ranks[0].at(_KEY, "partition_count")
        if isinstance(count, Node):
            count = max((n for n in count.items if type(n) is int), default=None)
        if type(count) is not int or count != len(ranks):
            raise DamagedFileError(f"{len(ranks)} partitions are there, {count} were written")
        if self.stage == 3 and len(weights) != len(ranks):
            raise DamagedFileError(f"{len(weights)} files *_model_states.pt for {len(ranks)} ranks")
        shapes = weights[0].at("param_shapes")
        groups = items(shapes, "`param_shapes`") if isinstance(shapes, Node) and not shapes.is_mapping else [shapes]
        self.groups = [_shapes(group) for group in groups]

    def tensors(self) -> dict[str, Tensor]:
        """Weights, frozen ones, buffers and shared ones under ``model.``; what the optimizer keeps behind them."""
        weights = dict(self._flat("single_partition_of_fp32_groups" if self.stage < 3 else "fp32_flat_groups"))
        weights |= dict(self._frozen())
        module = dict(mapping(self.weights[0].at("module"), "`module`"))
        for name in items(self.weights[0].at("buffer_names") or Node("list"), "`buffer_names`"):
            weights[str(name)] = self.weights[0].tensor(module.get(name), f"buffer {printable(str(name), code=True)}")
        for name, other in mapping(self.weights[0].at("shared_params") or Node("dict"), "`shared_params`"):
            if other in weights:
                weights[name] = weights[other]
        found = {f"model.{name}": replace(t, name=f"model.{name}", extra={}) for name, t in weights.items()}
        return found | dict(self._moments())

    def _flat(self, key: str) -> Iterator[tuple[str, Tensor]]:
        parts = [[rank.tensor(v, key) for v in items(rank.at(_KEY, key), f"`{key}`")] for rank in self.ranks]
        if self.stage == 3:
            whole = [joined(part, (sum(t.numel for t in part),)) for part in parts]
            yield from self._scattered([shape for group in self.groups for shape in group], whole)
            return
        if any(len(part) != len(self.groups) for part in parts):
            raise InvalidFileError(f"{len(parts[0])} groups of weights, {len(self.groups)} of shapes")
        for number, group in enumerate(self.groups):
            yield from self._cut(group, [part[number] for part in parts], number)

    def _cut(self, shapes: Shapes, parts: list[Tensor], group: int) -> Iterator[tuple[str, Tensor]]:
        """Stages 1 and 2: the parts of all ranks in a row, the weights one after another in them."""
        paddings = self.ranks[0].at(_KEY, "param_alignment_paddings")
        gaps = [0] * len(shapes)
        if isinstance(paddings, Node):
            groups = items(paddings, "paddings")
            gaps = items(groups[group], "paddings") if group < len(groups) else []
        if len(gaps) != len(shapes) or not all(type(gap) is int and gap >= 0 for gap in gaps):
            raise InvalidFileError(f"{len(shapes)} weights need as many paddings")
        at = 0
        for (name, shape), gap in zip(shapes, gaps, strict=True):
            yield name, _whole(name, shape, list(_between(parts, at, prod(shape))))
            at += prod(shape) + gap
        align = 2 * len(parts)
        if -(-at // align) != -(-sum(t.numel for t in parts) // align):
            raise InvalidFileError(f"the shapes need {at:,} numbers, the parts have {sum(t.numel for t in parts):,}")

    def _scattered(self, shapes: Shapes, parts: list[Tensor]) -> Iterator[tuple[str, Tensor]]:
        """Stage 3: each weight is cut in as many equal pieces as there are ranks, the last one padded."""
        at = 0
        for name, shape in shapes:
            piece = -(-prod(shape) // len(parts))
            yield name, _pieced(name, shape, [run(part, at, piece) for part in parts])
            at += piece
        if any(at != part.numel for part in parts):
            raise InvalidFileError(f"the shapes need {at:,} numbers a rank, there are {parts[0].numel:,}")

    def _frozen(self) -> Iterator[tuple[str, Tensor]]:
        """Weights that were not trained have no float32 copy: they are kept beside, in stage 3 in pieces."""
        shapes = self.weights[0].at("frozen_param_shapes")
        for name, shape in _shapes(shapes) if isinstance(shapes, Node) else []:
            pieces = [w.tensor(w.at("frozen_param_fragments", name), "a frozen weight")
                      for w in (self.weights if self.stage == 3 else self.weights[:1])]  # fmt: skip
            yield name, _pieced(name, shape, [reshaped(p, (p.numel,)) for p in pieces])

    def _moments(self) -> Iterator[tuple[str, Tensor]]:
        """What the optimizer keeps for each weight (``exp_avg``), which is flattened and cut like the weights."""
        inner = "base_optimizer_state" if self.stage < 3 else _KEY
        states = [rank.at(_KEY, inner, "state") for rank in self.ranks]
        if not all(isinstance(state, Node) and state.is_mapping for state in states):
            return
        for number, group in enumerate(self.groups):
            found = [state.get(number) for state in states]
            for key, value in found[0].items if isinstance(found[0], Node) and found[0].is_mapping else ():
                parts = [f.get(key) if isinstance(f, Node) else None for f in found]
                if not isinstance(value, TensorRef) or not all(isinstance(p, TensorRef) for p in parts):
                    continue
                flat = [rank.tensor(p, str(key)) for rank, p in zip(self.ranks, parts, strict=True)]
                if any(len(t.shape) != 1 for t in flat):
                    continue  # a counter
                cut = self._cut(group, flat, number) if self.stage < 3 else self._scattered(group, flat)
                for name, tensor in cut:
                    full = f"optimizer.{key}.{name}"
                    yield full, replace(tensor, name=full, extra={})

    def tree(self, tensors: dict[str, Tensor]) -> Node:
        parts: dict[str, list[tuple[Any, Any]]] = {"model": [], "optimizer": []}
        for name in tensors:
            part, _, own = name.partition(".")
            parts[part].append((own, TensorRef(name)))
        named = [(part, Node("dict", found)) for part, found in parts.items() if found]
        state = [(key, value) for key, value in scalars(self.weights[0].model.tree) if value is not None]
        return Node("dict", [*named, *state])


def _stage(rank: RankFile) -> int:
    value = rank.at(_KEY, "zero_stage")
    if isinstance(value, Inert) and len(value.args) == 1:  # an enumeration, in newer versions
        value = value.args[0]
    if value not in (1, 2, 3):
        raise InvalidFileError(f"ZeRO stage {printable(repr(value)[:40], code=True)} is not known", member=rank.name)
    return int(value)


def _shapes(value: Any) -> Shapes:
    return [(name, size(shape, f"the shape of {name}")) for name, shape in mapping(value, "`param_shapes`")]


def _between(parts: list[Tensor], begin: int, count: int) -> Iterator[Tensor]:
    """The numbers from ``begin`` on, out of parts that follow one another."""
    start = 0
    for part in parts:
        low, high = max(begin, start), min(begin + count, start + part.numel)
        if low < high:
            yield run(part, low - start, high - low)
        start += part.numel
    if begin + count > start:
        raise InvalidFileError(f"needs numbers {begin:,} to {begin + count:,} of {start:,}")


def _pieced(name: str, shape: tuple[int, ...], pieces: list[Tensor]) -> Tensor:
    """Pieces in a row, without what pads the last ones."""
    return _whole(name, shape, list(_between(pieces, 0, prod(shape))))


def _whole(name: str, shape: tuple[int, ...], pieces: list[Tensor]) -> Tensor:
    if not pieces:
        raise UnsupportedError("a weight without elements", tensor=name)
    with located(tensor=name):
        flat = joined(pieces, (prod(shape),))
        return replace(reshaped(flat, shape), name=name)


FORMAT = DeepSpeed()
