"""What a PyTorch file, or a bare pickle, would run: every global in every stream, held against an exact list.

Streams are run by the symbolic machine. A stream that breaks is reported as incomplete, with all that was seen before.
"""

from __future__ import annotations

from collections.abc import Iterator

from modelglot.containers import tar
from modelglot.containers.pickle.allowlist import severity
from modelglot.containers.pickle.machine import Machine
from modelglot.containers.pickle.window import Window
from modelglot.containers.zip import Archive
from modelglot.containers.zip_directory import LOCAL
from modelglot.core.errors import ModelFileError, printable
from modelglot.core.format import FileSet, Source
from modelglot.core.limits import Limits
from modelglot.core.notes import Finding

_SUFFIXES = (".pt", ".pth", ".bin", ".ckpt")
_STREAMS = 64  # pickles one after another in one file


def file_hazards(files: FileSet, limits: Limits, name: str | None = None) -> Iterator[Finding]:
    """Findings of the primary file, or of ``name``: a zip, a tar, or a stream of pickles."""
    name = name or files.primary
    if name is None:
        return
    source = files.open(name)
    head = source.pread(0, min(512, source.size))
    if head[:4] == LOCAL:
        yield from zip_hazards(source, limits)
    elif head[257:262] == b"ustar":
        yield from _tar(source, limits)
    else:
        yield from stream_hazards(Window(source, 0, source.size), limits, source.path, None)


def folder_hazards(files: FileSet, limits: Limits) -> Iterator[Finding]:
    """Findings of every file of a folder that has a name of PyTorch's, two levels down too."""
    for name in files.names(depth=2):
        if name.endswith(_SUFFIXES):
            yield from file_hazards(files, limits, name)


def zip_hazards(source: Source, limits: Limits) -> Iterator[Finding]:
    """Findings of every pickle in an archive."""
    try:
        archive = Archive(source, limits)
    except ModelFileError as error:
        yield Finding("incomplete", "unknown", f"the zip cannot be read: {error.what}", source.path, None, error.offset)
        return
    torchscript = any(n.endswith("/constants.pkl") for n in archive.by_name)
    for member in archive.members:
        if not member.name.endswith((".pkl", "_pkl", ".pickle")):
            continue
        try:
            window = Window(data=archive.read(member))
        except ModelFileError as error:
            yield Finding(
                "incomplete", "unknown", f"cannot be read: {error.what}", source.path, member.name, error.offset
            )
            continue
        yield from stream_hazards(window, limits, source.path, member.name, torchscript=torchscript)


def _tar(source: Source, limits: Limits) -> Iterator[Finding]:
    for member in tar.members(source, limits):
        if member.kind == "file":
            yield from stream_hazards(Window(source, member.offset, member.size), limits, source.path, member.name)
        elif member.kind == "link":
            yield Finding("tar-link", "unsafe", "a link, which an extractor would follow", source.path, member.name)


def stream_hazards(
    window: Window, limits: Limits, path: str, member: str | None, *, torchscript: bool = False
) -> Iterator[Finding]:
    """Findings of consecutive pickles at the start of a window."""
    at, problem = 0, None
    machine = Machine(window, limits, {})
    for _ in range(_STREAMS):
        try:
            _, at = machine.run(at)
        except ModelFileError as error:
            problem = error if at == 0 else None  # raw data follows the pickles of legacy files
            break
        if at >= window.length:
            break
    for name, offset in machine.globals.items():
        level = severity(name, torchscript=torchscript)
        if level is not None:
            does = "runs code or reaches outside" if level == "unsafe" else "is not known to be plain data"
            yield Finding(
                "pickle-global",
                level,
                f"{printable(name, code=True)} {does}",
                path,
                member,
                offset if member else window.offset + offset,
            )
    for what, offset in machine.oddities.items():
        yield Finding("pickle-oddity", "unknown", what, path, member, offset)
    if problem is not None:
        yield Finding(
            "incomplete",
            "unknown",
            f"the pickle cannot be read to its end: {problem.what}",
            path,
            member,
            problem.offset,
        )
