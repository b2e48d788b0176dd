"""PyTorch's zip format: what ``torch.save`` writes since 1.6, whatever the file is called. Read without running it.

Source: the behaviour of ``torch.save`` and ``torch.load`` of PyTorch 1.6 to 2.13.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from modelglot.containers.torch_checkpoint import detect
from modelglot.containers.torch_checkpoint.dtype_names import DTYPES
from modelglot.core.errors import InvalidFileError, LossError
from modelglot.core.format import FileSet, FormatInfo, Match, Probe
from modelglot.core.layout import Layout, Options, OutFile, Piece, shard
from modelglot.core.limits import Limits
from modelglot.core.model import Model, flat_tree
from modelglot.core.notes import Finding, Loss
from modelglot.core.tree import Node, TensorRef

if TYPE_CHECKING:
    from modelglot.containers.torch_checkpoint.folder import ReadOne

_NAME = "pytorch_model.bin"
_SLICES = 79  # how sure a folder in Meta's layout is
_INDEXES = (".bin.index.json", ".pt.index.json", ".pth.index.json")


class TorchZip:
    info = FormatInfo(
        name="torch-zip",
        title="PyTorch",
        suffixes=(".pt", ".pth", ".ckpt", ".bin"),
        spec="https://docs.pytorch.org/docs/stable/notes/serialization.html",
        can=frozenset({"read", "write", "shards", "tree", "ties", "folder"}),
        dtypes=DTYPES,
        framework="pt",
        blurb="a zip of a pickle and its tensors; training checkpoints and ties as they are; the pickle is never run",
    )

    def sniff(self, probe: Probe) -> Match | None:
        if probe.is_folder:
            found = detect.folder_choice(tuple(probe.names))
            slices = detect.consolidated(tuple(probe.names))
            if slices and (found is None or found[1] < _SLICES):
                return Match(_SLICES, f"holds {slices[0]} and params.json")
            if found is None:
                return None
            return Match(found[1], f"holds {found[0]}", "sharded" if found[0].endswith(".json") else None)
        if probe.name.endswith(_INDEXES):
            return Match(100, "a PyTorch shard index", "sharded")
        return Match(98, "a zip with data.pkl") if detect.zip_kind(probe) == "torch-zip" else None

    def read(self, files: FileSet, limits: Limits) -> Model:
        from modelglot.containers.torch_checkpoint.folder import read_file

        return self._read(files, limits, read_file)

    def salvage(self, files: FileSet, limits: Limits) -> Model:
        from modelglot.containers.torch_checkpoint.salvage import salvage_file

        return self._read(files, limits, salvage_file, damaged=True)

    def _read(self, files: FileSet, limits: Limits, one: ReadOne, *, damaged: bool = False) -> Model:
        """The file or folder, each of its files read by ``one``."""
        from modelglot.containers.torch_checkpoint.folder import read_slices

        name = files.primary
        if name is None:
            found = detect.folder_choice(tuple(files.names()))
            slices = detect.consolidated(tuple(files.names()))
            if slices and (found is None or found[1] < _SLICES):
                return read_slices(files, limits, slices, one)
            if found is None:
                raise InvalidFileError(
                    "the folder holds no PyTorch file, or several", path=files.root, hint="name one of the files"
                )
            name = found[0]
        if name.endswith(".json"):
            from modelglot.containers.shard_index import read_index, read_sharded

            index = read_index(files, name, limits)
            return read_sharded(
                files, limits, index, lambda shard: one(files, limits, shard), self.info.name, damaged=damaged
            )
        return one(files, limits, name)

    def losses(self, model: Model) -> Iterable[Loss]:
        from modelglot.containers.torch_checkpoint import writing

        return writing.losses(model)

    def layout(self, model: Model, options: Options) -> Layout:
        """One file with the model's tree, or flat shards with an index; LossError for a nested tree in shards."""
        from modelglot.containers.shard_index import index_bytes
        from modelglot.containers.torch_checkpoint import writing

        tree, _ = writing.chosen_tree(model)
        sizes = {name: tensor.nbytes for name, tensor in model.tensors.items()}
        groups = shard(sizes, options)
        name = options.name or _NAME
        if len(groups) == 1:
            return Layout((writing.file(name, model.tensors, tree),))
        if not _is_flat(tree):
            raise LossError(
                "a nested checkpoint cannot be cut in shards, which hold tensors only",
                hint="take one part of it with `--component model`, or write one file",
            )
        stem, dot, suffix = name.rpartition(".")
        stem, suffix = (stem, dot + suffix) if dot else (suffix, ".bin")
        outputs, weight_map = [], {}
        for number, group in enumerate(groups, 1):
            shard_name = f"{stem}-{number:05}-of-{len(groups):05}{suffix}"
            part = {n: model.tensors[n] for n in group}
            outputs.append(writing.file(shard_name, part, flat_tree(part, "ordereddict")))
            weight_map.update(dict.fromkeys(group, shard_name))
        index = index_bytes(weight_map, sum(sizes.values()))
        outputs.append(OutFile(f"{stem}{suffix}.index.json", len(index), (Piece(0, index),)))
        return Layout(tuple(outputs))

    def hazards(self, files: FileSet, limits: Limits) -> Iterable[Finding]:
        from modelglot.containers.torch_checkpoint.hazards import file_hazards

        return file_hazards(files, limits)


def _is_flat(tree: object) -> bool:
    return (
        isinstance(tree, Node)
        and tree.is_mapping
        and all(isinstance(value, TensorRef) and value.name == key for key, value in tree.items)
    )


FORMAT = TorchZip()
