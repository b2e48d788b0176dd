"""Digests of logical bytes: the same for the same tensor, whatever file, format, order or stride it was stored in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from modelglot.core.tensor import Missing, Stored, Tensor
from modelglot.engine.stream import Open, chunks


def tensor_digest(tensor: Tensor, source: Open) -> str:
    """BLAKE3 (hex) of the tensor's contiguous little-endian bytes."""
    from blake3 import blake3

    hasher = blake3()
    for _, data in chunks(tensor, source):
        hasher.update(data)
    return hasher.hexdigest()


def tensor_digests(tensors: Iterable[Tensor], source: Open, *, threads: int = 2) -> dict[str, str]:
    """Digest of each tensor by name. Tied tensors are read once; missing ones are left out."""
    seen: dict[Stored, list[Tensor]] = {}
    single: list[list[Tensor]] = []
    for tensor in tensors:
        if isinstance(tensor.data, Missing):
            continue
        if isinstance(tensor.data, Stored) and tensor.nbytes:
            group = seen.setdefault(tensor.data, [])
            if not group:
                single.append(group)
            group.append(tensor)
        else:
            single.append([tensor])
    batch = max(1, min(256, len(single) // (threads * 4) or 1))
    parts = [single[i : i + batch] for i in range(0, len(single), batch)]

    def run(part: list[list[Tensor]]) -> dict[str, str]:
        found: dict[str, str] = {}
        for group in part:
            digest = tensor_digest(group[0], source)
            for tensor in group:
                same = (tensor.shape, tensor.type_name) == (group[0].shape, group[0].type_name)
                found[tensor.name] = digest if same else tensor_digest(tensor, source)
        return found

    digests: dict[str, str] = {}
    if threads == 1:  # a pool costs as much as the digests of a small model
        for part in parts:
            digests.update(run(part))
        return digests
    with ThreadPoolExecutor(threads) as pool:
        for found in pool.map(run, parts):
            digests.update(found)
    return digests


def model_digest(tensors: Mapping[str, Tensor], digests: Mapping[str, str]) -> str:
    """BLAKE3 (hex) over the sorted lines ``name NUL type NUL shape NUL tensor digest LF``.

    Metadata, order, file boundaries, strides and ties do not enter: two files with this digest hold the same weights.
    """
    from blake3 import blake3

    hasher = blake3()
    for name in sorted(digests):
        tensor = tensors[name]
        shape = ",".join(map(str, tensor.shape))
        line = f"{name}\0{tensor.type_name}\0{shape}\0{digests[name]}\n"
        hasher.update(line.encode("utf-8", "surrogateescape"))
    return hasher.hexdigest()
