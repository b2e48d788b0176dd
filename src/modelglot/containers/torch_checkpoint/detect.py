"""Telling PyTorch's files apart from their first and last bytes. Nothing here raises."""

from __future__ import annotations

import re

from modelglot.containers.zip_directory import LOCAL, visible_names
from modelglot.core.format import Probe

INDEX = "pytorch_model.bin.index.json"
SUFFIXES = (".bin", ".pt", ".pth", ".ckpt")
_TORCH_ONLY = re.compile(r"[^/]+/(data/\d+|byteorder|version|\.format_version|\.storage_alignment)")
# PROTO 2 to 5 with the magic number of 1.6's predecessor as LONG1, or in text for protocol 0 and 1
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_MAGIC_BYTES = b"\x8a\x0a" + LEGACY_MAGIC.to_bytes(10, "little")
_MAGIC_TEXT = b"L%dL\n" % LEGACY_MAGIC


def zip_kind(probe: Probe) -> str | None:
    """``torch-zip``, ``torchscript`` or ``torch-package`` for a zip that PyTorch wrote, judged by its member names.

    A file cut off before its directory is judged by its first member.
    """
    if probe.head[:4] != LOCAL:
        return None
    names = visible_names(probe.head, probe.tail)
    inner = {name.partition("/")[2] for name in names}
    if ".data/extern_modules" in inner or ".data/python_version" in inner:
        return "torch-package"
    if "constants.pkl" in inner or any(n.startswith("code/") for n in inner):
        return "torchscript"
    if any(n == "data.pkl" or n.endswith("/data.pkl") for n in names):
        return "torch-zip"
    return "torch-zip" if _TORCH_ONLY.fullmatch(names[0]) else None


def is_legacy(head: bytes) -> bool:
    """The first of the five pickles of the format before 1.6 is a magic number."""
    return _MAGIC_BYTES in head[:16] or head.startswith(_MAGIC_TEXT) or _MAGIC_TEXT in head[:40]


def is_torch_tar(probe: Probe) -> bool:
    """The form before PyTorch 0.1.10: a tar of ``sys_info``, ``pickle``, ``tensors`` and ``storages``."""
    head = probe.head
    return head[257:262] == b"ustar" and head[:100].split(b"\0")[0] in (b"sys_info", b"pickle", b"tensors", b"storages")


_CONSOLIDATED = re.compile(r"consolidated\.\d\d\.pth")


def consolidated(names: tuple[str, ...]) -> list[str]:
    """Meta's layout: ``consolidated.00.pth``, ``.01.pth`` and so on, slices of one model beside ``params.json``."""
    return [n for n in names if _CONSOLIDATED.fullmatch(n)] if "params.json" in names else []


def folder_choice(names: tuple[str, ...]) -> tuple[str, int] | None:
    """(file that stands for a folder, how surely): an index, ``pytorch_model.bin``, or the only torch-like file."""
    here = [n for n in names if "/" not in n]
    indexes = [n for n in here if n.endswith((".bin.index.json", ".pt.index.json", ".pth.index.json"))]
    if INDEX in here:
        return INDEX, 84
    if indexes:
        return indexes[0], 82
    if "pytorch_model.bin" in here:
        return "pytorch_model.bin", 80
    found = [n for n in here if n.endswith(SUFFIXES) and n not in ("training_args.bin", "optimizer.pt", "scheduler.pt")]
    return (found[0], 60) if len(found) == 1 else None
