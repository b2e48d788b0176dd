"""Digests of logical bytes: the same for the same tensor, whatever file, format, order or stride it was stored in."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import closing
from functools import partial

from modelglot.core.model import FileRef
from modelglot.core.tensor import Missing, Stored, Tensor
from modelglot.engine.executors.interface import Executor
from modelglot.engine.executors.threads import Threads
from modelglot.engine.pool import kept_pool
from modelglot.engine.stream import Open, chunks


def tensor_digest(tensor: Tensor, source: Open) -> str:
    """BLAKE3 (hex) of the tensor's contiguous little-endian bytes."""
    from blake3 import blake3

    hasher = blake3()
    for _, data in chunks(tensor, source):
        hasher.update(data)
    return hasher.hexdigest()


Group = list[Tensor]  # tied tensors: the same bytes of the same file


def tensor_digests(
    tensors: Iterable[Tensor],
    source: Open,
    *,
    threads: int = 2,
    executor: Executor | None = None,
    files: tuple[FileRef, ...] = (),
) -> dict[str, str]:
    """Digest of each tensor by name. Tied tensors are read once; missing ones are left out.

    Work goes to ``executor``, by default ``threads`` of this process. One that is elsewhere opens ``files`` itself.
    """
    parts = _parts(_groups(tensors), 4 * (executor.width() if executor else threads))
    digests: dict[str, str] = {}
    if executor is None and threads == 1:  # a pool costs as much as the digests of a small model
        for part in parts:
            digests.update(_part(source, part))
        return digests
    executor = executor or Threads(threads)
    work = partial(_elsewhere, files) if executor.elsewhere else partial(_part, source)
    with closing(executor.run(work, deque(parts), _weight, repeatable=True)) as results:
        for done in results:
            if done.error is not None:
                raise done.error
            digests.update(done.value)  # type: ignore[call-overload]
    return digests


def _groups(tensors: Iterable[Tensor]) -> list[Group]:
    seen: dict[Stored, Group] = {}
    found: list[Group] = []
    for tensor in tensors:
        if isinstance(tensor.data, Missing):
            continue
        if isinstance(tensor.data, Stored) and tensor.nbytes:
            group = seen.setdefault(tensor.data, [])
            if not group:
                found.append(group)
            group.append(tensor)
        else:
            found.append([tensor])
    return found


def _parts(groups: list[Group], wanted: int) -> list[list[Group]]:
    batch = max(1, min(256, len(groups) // wanted or 1))
    return [groups[i : i + batch] for i in range(0, len(groups), batch)]


def _weight(part: list[Group]) -> int:
    return sum(group[0].nbytes for group in part)


def _part(source: Open, part: list[Group]) -> dict[str, str]:
    found: dict[str, str] = {}
    for group in part:
        digest = tensor_digest(group[0], source)
        for tensor in group:
            same = (tensor.shape, tensor.type_name) == (group[0].shape, group[0].type_name)
            found[tensor.name] = digest if same else tensor_digest(tensor, source)
    return found


def _elsewhere(files: tuple[FileRef, ...], part: list[Group]) -> dict[str, str]:
    pool = kept_pool(files)
    found = _part(pool, part)
    pool.check_unchanged()
    return found


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
