"""Megatron-LM and Megatron Core: tensor-parallel ranks ``mp_rank_NN/model_optim_rng.pt``, joined by what each layer is.

Source: Megatron Core's parallel layers: which weights are cut in rows, which in columns, and how gated layers lie.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from modelglot.containers.torch_checkpoint.hazards import folder_hazards
from modelglot.containers.torch_checkpoint.ranks import RankFile, read_ranks, scalars
from modelglot.core.errors import DamagedFileError, InvalidFileError, UnsupportedError, located, printable
from modelglot.core.format import FileSet, FormatInfo, Match, Probe, ReadOnly
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.core.notes import Finding, Note
from modelglot.core.tensor import Tensor
from modelglot.core.tree import Node, TensorRef, path_name, walk
from modelglot.core.views import beside, joined, part

_FILE = re.compile(r"(?:^|/)mp_rank_(?P<rank>\d+)(?P<stage>_\d+)*/model_optim_rng\.pt$")
# The layer's name -> which axis of its weight is cut. What is not listed is the same on every rank.
_ROWS = ("query_key_value", "linear_qkv", "linear_q", "linear_kv", "query", "key_value", "dense_h_to_4h", "linear_fc1",
         "word_embeddings", "output_layer", "lm_head")  # fmt: skip
_COLUMNS = ("linear_proj", "linear_fc2", "dense_4h_to_h", "self_attention.dense", "inter_attention.dense",
            "attention.dense")  # fmt: skip
_GATED = ("linear_fc1", "dense_h_to_4h")


class Megatron(ReadOnly):
    info = FormatInfo(
        name="megatron",
        title="Megatron",
        suffixes=(),
        spec="https://docs.nvidia.com/megatron-core/developer-guide/latest/",
        can=frozenset({"read", "tree", "folder"}),
        framework="pt",
        blurb="tensor-parallel ranks of Megatron-LM (`mp_rank_00` ...), joined to whole weights",
    )
    instead = "write a .pt file"

    def sniff(self, probe: Probe) -> Match | None:
        if not probe.is_folder:
            return None
        if any(_FILE.search(n) for n in probe.names) or "latest_checkpointed_iteration.txt" in probe.names:
            return Match(92, "holds ranks of Megatron, mp_rank_NN")
        return None

    def read(self, files: FileSet, limits: Limits) -> Model:
        names, notes = _chosen(files)
        with located(path=files.root):
            ranks = read_ranks(files, names, limits)
            count = ranks[0].at("args", "tensor_model_parallel_size")
            if type(count) is int and count != len(ranks):
                raise DamagedFileError(f"{len(ranks)} ranks are there, {count} were written")
            weights = [_weights(rank) for rank in ranks]
            gated = any(ranks[0].at("args", name) is True for name in ("swiglu", "gated_linear_unit"))
            tensors = {}
            for name in weights[0]:
                missing = next((r.name for r, w in zip(ranks, weights, strict=True) if name not in w), None)
                if missing:
                    raise DamagedFileError("is not on every rank", tensor=name, member=missing)
                with located(tensor=name):
                    full = f"model.{name}"
                    tensors[full] = replace(_joined(name, [w[name] for w in weights], gated), name=full, extra={})
        model = Node("dict", [(n.removeprefix("model."), TensorRef(n)) for n in tensors])
        tree = Node("dict", [("model", model), *scalars(ranks[0].model.tree)])
        left = [n for rank in ranks for n in rank.model.notes if n.level == "warning"]
        optimizer = ranks[0].at("optimizer") is not None
        if optimizer:
            notes.append(Note("optimizer", "the optimizer's state is flattened over the ranks and not read"))
        return Model(self.info.name, files.refs(), tensors, f"{len(ranks)} tensor-parallel ranks", tree=tree,
                     notes=tuple(dict.fromkeys((*notes, *left))))  # fmt: skip

    def hazards(self, files: FileSet, limits: Limits) -> Iterable[Finding]:
        return folder_hazards(files, limits)


def _chosen(files: FileSet) -> tuple[list[str], list[Note]]:
    """The ranks' files of the iteration that is the latest. Raises UnsupportedError for pipeline stages."""
    found = [(m, n) for n in files.names(depth=2) if (m := _FILE.search(n))]
    if not found:
        raise InvalidFileError("no mp_rank_NN/model_optim_rng.pt is there", path=files.root)
    folders = {n[: m.start()].rstrip("/") for m, n in found}
    latest = ""
    if "latest_checkpointed_iteration.txt" in files.names():
        source = files.open("latest_checkpointed_iteration.txt")
        files.index("latest_checkpointed_iteration.txt", "side")
        text = source.pread(0, min(source.size, 40)).decode("ascii", "replace").strip()
        latest = f"iter_{int(text):07}" if text.isascii() and text.isdecimal() and len(text) < 12 else text
    chosen = latest if latest in folders else max(folders)
    ranks = {int(m["rank"]): n for m, n in found if n[: m.start()].rstrip("/") == chosen}
    if any(m["stage"] for m, n in found if n[: m.start()].rstrip("/") == chosen):
        raise UnsupportedError(
            "pipeline stages (mp_rank_00_000) are not joined", path=files.root,
            hint="convert with Megatron's tools/checkpoint/convert.py to one stage first",
        )  # fmt: skip
    missing = [n for n in range(max(ranks) + 1) if n not in ranks]
    if missing:
        raise DamagedFileError(f"mp_rank_{missing[0]:02} is missing", path=files.root)
    others = ", ".join(printable(f) for f in sorted(folders - {chosen})[:6])
    notes = [Note("other-steps", f"{printable(chosen)} is read; also there: {others}")] if others else []
    return [ranks[n] for n in sorted(ranks)], notes


def _weights(rank: RankFile) -> dict[str, Tensor]:
    """The tensors below ``model``, by the path of keys."""
    model = rank.at("model")
    found = {path_name(path): rank.model.tensors[v.name] for path, v in walk(model) if isinstance(v, TensorRef)}
    if not found:
        raise InvalidFileError("no tensors below `model`", member=rank.name)
    return found


def _joined(name: str, parts: list[Tensor], gated: bool) -> Tensor:
    layer, _, kind = name.rpartition(".")
    if len(parts) == 1 or kind not in ("weight", "bias"):
        return _alike(name, parts)
    if layer.endswith(_ROWS):
        if gated and layer.endswith(_GATED):  # each rank has a part of the gate above a part of the other half
            halves = [[part(p, n * p.shape[0] // 2, (n + 1) * p.shape[0] // 2) for p in parts] for n in (0, 1)]
            parts = [*halves[0], *halves[1]]
        return joined(parts, (sum(p.shape[0] for p in parts), *parts[0].shape[1:]))
    if layer.endswith(_COLUMNS) and kind == "weight":
        return beside(parts)
    return _alike(name, parts)


def _alike(name: str, parts: list[Tensor]) -> Tensor:
    """A weight that every rank has whole."""
    if len({(p.dtype, p.shape) for p in parts}) > 1:
        raise InvalidFileError(f"has the shapes {', '.join(str(list(p.shape)) for p in parts[:4])} on the ranks")
    return parts[0]


FORMAT = Megatron()
