"""Where the bytes of a PyTorch zip go: ``data.pkl`` from the tree, one member a storage, tied tensors in one storage.

The result loads with ``torch.load(weights_only=True, mmap=True)``. Members and their order are those of
``torch.save``; names, stamps and the serialization id depend on the contents only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from modelglot.containers.pickle.emitter import Emitter
from modelglot.containers.torch_checkpoint.dtype_names import DTYPES, V2, V3
from modelglot.containers.torch_checkpoint.pruning import Pruned
from modelglot.containers.zip_layout import Entry, build
from modelglot.core.collector import paused
from modelglot.core.encoding import Packed, Plain
from modelglot.core.layout import OutFile
from modelglot.core.model import Model, flat_tree
from modelglot.core.notes import Loss
from modelglot.core.tensor import Missing, Stored, Tensor, contiguous_strides
from modelglot.core.tree import Node, TensorRef

ROOT = "archive"
ALIGNMENT = 64


def holds(tensor: Tensor) -> bool:
    """Whether PyTorch has the dtype, as plain elements."""
    if tensor.dtype.name == "f4_e2m1":
        return isinstance(tensor.encoding, Packed) and bool(tensor.shape) and tensor.shape[-1] % 2 == 0
    return isinstance(tensor.encoding, Plain) and tensor.dtype.name in DTYPES


def chosen_tree(model: Model) -> tuple[Any, Pruned | None]:
    """The tree to write, and what was left out of the model's: flat where there is none or it misses a tensor."""
    if model.tree is not None:
        pruned = Pruned(model.tree, model.tensors)
        if pruned.refs >= model.tensors.keys() and isinstance(pruned.tree, (Node, TensorRef)):
            return pruned.tree, pruned
        return flat_tree(model.tensors, "ordereddict"), pruned
    return flat_tree(model.tensors, "ordereddict"), None


def file(name: str, tensors: Mapping[str, Tensor], tree: Any) -> OutFile:
    """One archive with these tensors, which the tree refers to."""
    with paused():
        return _file(name, tensors, tree)


def _file(name: str, tensors: Mapping[str, Tensor], tree: Any) -> OutFile:
    writer = _Writer(tensors)
    stream = Emitter(writer.tensor).finish(tree)
    digest = int.from_bytes(hashlib.sha256(stream).digest()[:16], "big")
    entries = [
        Entry(f"{ROOT}/data.pkl", stream, alignment=ALIGNMENT),
        Entry(f"{ROOT}/byteorder", b"little", alignment=ALIGNMENT),
        *(Entry(f"{ROOT}/data/{key}", b"", owner, size, ALIGNMENT) for key, (owner, size) in enumerate(writer.owners)),
        Entry(f"{ROOT}/version", b"3\n", alignment=ALIGNMENT),
        Entry(f"{ROOT}/.data/serialization_id", b"%040d" % digest, alignment=ALIGNMENT),
    ]  # fmt: skip
    return build(name, entries)


class _Writer:
    """Gives every distinct storage a key; ``owners`` are the tensors whose bytes fill them."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self.tensors = tensors
        self.owners: list[tuple[str, int]] = []  # with the bytes of the storage
        self._keys: dict[Any, int] = {}
        self._around: dict[tuple[str, tuple[int, ...]], tuple[bytes, bytes]] = {}

    def _key(self, name: str, tensor: Tensor) -> str:
        data, size = tensor.data, tensor.nbytes
        identity = (data, tensor.dtype.name) if isinstance(data, Stored) and size else name
        key = self._keys.get(identity)
        if key is None:
            key = self._keys[identity] = len(self.owners)
            self.owners.append((name, size))
        return str(key)

    def tensor(self, out: Emitter, name: str) -> None:
        """The call that rebuilds a tensor, wrapped in one for a Parameter where it was one."""
        tensor = self.tensors[name]
        if not tensor.extra:
            self._plain(out, name, tensor)
            return
        grad = tensor.extra.get("torch:requires_grad") is True
        is_parameter = tensor.extra.get("torch:parameter") is True
        if is_parameter:
            out.global_("torch._utils\n_rebuild_parameter")
            out.out += b"("
        self._rebuild(out, name, tensor, grad and not is_parameter)
        if is_parameter:
            out.scalar(grad)
            out.global_("collections\nOrderedDict")
            out.out += b")RtR"

    def _plain(self, out: Emitter, name: str, tensor: Tensor) -> None:
        """A tensor without marks: all but the key is the same for each of a dtype and shape, once one was written."""
        kind = tensor.dtype.name, tensor.shape
        around = self._around.get(kind)
        if around is not None:
            key = self._key(name, tensor).encode()
            out.out += b"%bX%c\0\0\0%b%b" % (around[0], len(key), key, around[1])
            return
        self._rebuild(out, name, tensor, False)
        before, after = out.fetching(), out.fetching()
        self._before(before, kind[0])
        self._after(after, tensor, False)
        self._around[kind] = bytes(before.out), bytes(after.out)

    def _rebuild(self, out: Emitter, name: str, tensor: Tensor, grad: bool) -> None:
        self._before(out, tensor.dtype.name)
        out.text(self._key(name, tensor))
        self._after(out, tensor, grad)

    def _before(self, out: Emitter, kind: str) -> None:
        newer = V3.get(kind)
        out.global_(f"torch._utils\n_rebuild_tensor_v{3 if newer else 2}")
        out.out += b"(("
        out.text("storage")
        out.global_("torch.storage\nUntypedStorage" if newer else f"torch\n{V2[kind]}Storage")

    def _after(self, out: Emitter, tensor: Tensor, grad: bool) -> None:
        kind, shape = tensor.dtype.name, tensor.shape
        if kind == "f4_e2m1":
            shape = (*shape[:-1], shape[-1] // 2)
        newer = V3.get(kind)
        out.text("cpu")
        out.integer(tensor.nbytes if newer else tensor.numel)
        out.out += b"tQK\0"
        out.naturals(shape)
        out.naturals(contiguous_strides(shape))
        out.scalar(grad)
        out.global_("collections\nOrderedDict")
        out.out += b")R"
        if newer:
            out.global_(f"torch\n{newer}")
        bits = [bit for bit in ("conj", "neg") if tensor.extra.get(f"torch:{bit}")]
        if bits:
            out.out += b"}"
            for bit in bits:
                out.text(bit)
                out.out += b"\x88s"
        out.out += b"tR"


def losses(model: Model) -> Iterable[Loss]:
    """What a PyTorch file of plain data cannot hold."""
    if len(model.metadata):
        keys = ", ".join(f"`{key}`" for key in list(model.metadata)[:4])
        yield Loss("metadata", f"{len(model.metadata):,} metadata entries have no place in a PyTorch file: {keys}")
    for name, tensor in model.tensors.items():
        if not holds(tensor):
            yield Loss(
                "encoding",
                f"`{name}` is {tensor.type_name}, which PyTorch does not have",
                "ask for another dtype, such as `--dtype f16`",
            )
        if isinstance(tensor.data, Missing):
            yield Loss("missing", f"`{name}` has no data: {tensor.data.why}")
        if "torch:quantizer" in tensor.extra:
            yield Loss("quantizer", f"`{name}` is written as its integers, without its scale and zero point")
    _, pruned = chosen_tree(model)
    if pruned is None:
        return
    classes: dict[str, list[str]] = {}
    for path, global_ in pruned.objects:
        classes.setdefault(global_, []).append(path)
    for global_, paths in classes.items():
        where = ", ".join(f"`{path or '(the file)'}`" for path in paths[:3])
        more = f" and {len(paths) - 3:,} more" if len(paths) > 3 else ""
        yield Loss("python-object", f"objects of `{global_}` are left out: {where}{more}")
    if pruned.changed:
        path, kind = pruned.changed[0]
        yield Loss(
            "python-type",
            f"{len(pruned.changed):,} containers become a simpler kind, such as the {kind} at `{path}`",
            "weights-only loading refuses the original kinds",
            stops=False,
        )
