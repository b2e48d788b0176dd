"""What is left of a damaged model: every tensor that is whole, and the names of those that are not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from modelglot.api.reading import detect, read_model
from modelglot.containers import strict_json
from modelglot.containers.pickle.machine import Machine
from modelglot.containers.pickle.torch_storage import storage_dtype
from modelglot.containers.pickle.window import Window
from modelglot.containers.zip_directory import END
from modelglot.containers.zip_rebuild import Whole, directory, local, whole_members
from modelglot.core.errors import DamagedFileError, InvalidFileError, ModelFileError, UnsupportedError, printable
from modelglot.core.format import Format, Source
from modelglot.core.layout import align
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.core.notes import Loss, Note
from modelglot.core.tensor import Derived, Extent, Missing, Stored, Tensor
from modelglot.core.tree import Inert, Node
from modelglot.formats import registry
from modelglot.passes.select import prune
from modelglot.sources.file import LocalFiles
from modelglot.sources.mended import Mended, MendedFiles
from modelglot.sources.part import Part

_ZIPS = ("torch-zip", "torchscript", "npz")
_BEYOND = "its bytes lie after the end of the file"


def salvage(path: str, format: str | None, limits: Limits | None) -> tuple[Model, list[Loss]]:
    """The whole tensors of a truncated file, of a set of shards with a member missing, or of several files in one.

    Raises UnsupportedError where the format is not one that can be mended, DamagedFileError where nothing is whole.
    """
    chosen = registry.get(format) if format else detect(path)[0]
    try:
        model = read_model(path, format=format, limits=limits)
        if any(note.code == "zip-prefix" for note in model.notes):  # an archive before the one that loaders take
            model = _mended(path, chosen, limits or Limits(), InvalidFileError("bytes before the archive"))
    except (DamagedFileError, InvalidFileError) as error:
        model = _mended(path, chosen, limits or Limits(), error)
    lost = [n for n, t in model.tensors.items() if isinstance(t.data, Missing)]
    kept = {n: t for n, t in model.tensors.items() if n not in set(lost)}
    if not kept:
        raise DamagedFileError("no tensor of it is whole", path=path, hint="get the file again")
    losses = [Loss("missing", note.text, stops=False) for note in model.notes if note.code == "cut-off"]
    if lost:
        shown = ", ".join(printable(n, code=True) for n in lost[:20])
        shown += f" and {len(lost) - 20:,} more" if len(lost) > 20 else ""
        losses += [Loss("missing", f"{len(lost):,} of {len(model.tensors):,} tensors are lost: {shown}", stops=False)]
    return replace(model, tensors=kept, tree=prune(model.tree, kept)), losses


def _mended(path: str, format: Format, limits: Limits, error: ModelFileError) -> Model:
    files = LocalFiles(path)
    try:
        name = files.primary
        if name is None or format.info.name not in (*_ZIPS, "safetensors", "gguf"):
            raise UnsupportedError(
                f"damaged {format.info.title} files are not mended: {error.what}",
                path=path,
                hint="`--salvage` knows safetensors, GGUF, PyTorch's zip files and .npz",
            ) from error
        source = files.open(name)
        models = [
            _read(format, files, name, source, begin, end, limits) for begin, end in _parts(format, source, limits)
        ]
    finally:
        files.close()
    tensors: dict[str, Tensor] = {}
    for model in models:
        for key, tensor in model.tensors.items():
            number = 2
            while key in tensors:
                key, number = f"{tensor.name}#{number}", number + 1
            tensors[key] = replace(tensor, name=key)
    return replace(models[0], tensors=tensors, files=files.refs(), tree=None if len(models) > 1 else models[0].tree)


def _parts(format: Format, source: Source, limits: Limits) -> Iterator[tuple[int, int]]:
    """Where files that were put one after another begin and end; of one file all of it."""
    if format.info.name in _ZIPS:
        yield from _archives(source)
        return
    at = 0
    while at < source.size:
        end = at + (_safetensors_size(source, at, limits) if format.info.name == "safetensors" else source.size - at)
        follows = end + 9 <= source.size and source.pread(end + 8, 1) == b"{"
        yield at, min(end, source.size) if follows else source.size
        if not follows:
            return
        at = end


def _archives(source: Source) -> Iterator[tuple[int, int]]:
    """Each end record closes an archive; what follows the last one is an archive that was cut off."""
    at, begin = 0, 0
    while at < source.size:
        data = source.pread(at, min(4 << 20, source.size - at))
        found = data.find(END)
        if found >= 0 and at + found + 22 <= source.size:
            end = at + found + 22
            if source.pread(begin, 4) == b"PK\x03\x04":
                yield begin, end
            begin = at = end
        elif at + len(data) >= source.size:
            break
        else:
            at += len(data) - 3
    if begin < source.size and source.pread(begin, min(4, source.size - begin)) == b"PK\x03\x04":
        yield begin, source.size


def _read(format: Format, files: LocalFiles, name: str, source: Source, begin: int, end: int, limits: Limits) -> Model:
    """A part read by its own reader, its tensors at their places in the file, those that are cut off missing."""
    mended = _source(format, source, begin, end, limits)
    try:
        model = format.read(MendedFiles(files, name, mended), limits)
    except InvalidFileError as error:
        raise DamagedFileError(
            f"cannot be mended: {error.what}", path=source.path, hint="get the file again"
        ) from error
    number = files.index(name)
    placed = {n: _placed(t, number, begin, end) for n, t in model.tensors.items()}
    cut = Note("cut-off", "the archive is cut off, and nothing says what else was in it", "warning")
    notes = (*model.notes, cut) if format.info.name == "npz" and mended.size > end - begin else model.notes
    return replace(model, tensors=placed, notes=notes)


def _source(format: Format, source: Source, begin: int, end: int, limits: Limits) -> Mended:
    if format.info.name == "safetensors":
        return Mended(source, begin, end, max(end - begin, _safetensors_size(source, begin, limits)))
    if format.info.name in _ZIPS:
        return _zip(source, begin, end, limits)
    return Mended(source, begin, end, end - begin)


def _safetensors_size(source: Source, begin: int, limits: Limits) -> int:
    """Of the whole file that begins there, by its header. Raises DamagedFileError where that is cut off."""
    length = int.from_bytes(source.pread(begin, min(8, source.size - begin)), "little")
    if begin + 8 + length > source.size:
        raise DamagedFileError("the header is cut off: nothing is known of the tensors", path=source.path)
    limits.check("header", length, "the header", offset=begin)
    header = strict_json.loads(source.pread(begin + 8, length), what="the header")
    ends = [v.get("data_offsets", [0, 0])[-1] for v in header.values() if isinstance(v, Mapping)]
    return 8 + length + max((end for end in ends if type(end) is int), default=0)


def _zip(source: Source, begin: int, end: int, limits: Limits) -> Mended:
    """With a directory of the whole members, and of the storages that its pickle names and the file lacks."""
    part = Part(source, begin, end - begin)
    members = list(whole_members(part))
    at, patches = align(end - begin, 64), []
    missing = [m for m in _storages(part, members, limits) if m.name not in {w.name for w in members}]
    for member in missing:
        head = local(member)
        members.append(member._replace(header=at))
        patches.append((at, head))
        at += len(head) + member.stored
    tail = directory(members, at)
    patches.append((at, tail))
    return Mended(source, begin, end, at + len(tail), patches)


def _storages(part: Source, members: list[Whole], limits: Limits) -> Iterator[Whole]:
    """A member for every storage that ``data.pkl`` names."""
    for member in members:
        if not member.name.endswith(b"data.pkl") or member.method:
            continue
        start = member.header + 30 + sum(part.pread(member.header + 26, 4)[n] << (8 * (n % 2)) for n in range(4))
        named: dict[str, int] = {}

        def met(pid: object, named: dict[str, int] = named) -> Inert:
            items = pid.items if isinstance(pid, Node) else []
            dtype = storage_dtype(items[1]) if len(items) > 4 else None
            if dtype is not None and isinstance(items[2], str) and type(items[4]) is int:
                named[items[2]] = items[4] * dtype.itemsize
            return Inert("persistent_id", "called", (pid,))

        Machine(Window(part, start, member.stored), limits, {}, met).run()
        root = member.name[: -len(b"data.pkl")]
        for key, size in named.items():
            yield Whole(root + b"data/" + key.encode(), 0, 0, 0, size, size)


def _placed(tensor: Tensor, file: int, begin: int, end: int) -> Tensor:
    data = tensor.data
    if isinstance(data, Stored):
        moved = tuple(e._replace(offset=e.offset + begin) if e.file == file else e for e in data.extents)
        if any(_cut(extent, file, end) for extent in moved):
            return replace(tensor, data=Missing(_BEYOND))
        return replace(tensor, data=data._replace(extents=moved))
    if isinstance(data, Derived):
        inputs = tuple(_placed(t, file, begin, end) for t in data.inputs)
        lost = any(isinstance(t.data, Missing) for t in inputs)
        return replace(tensor, data=Missing(_BEYOND) if lost else replace(data, inputs=inputs))
    return tensor


def _cut(extent: Extent, file: int, end: int) -> bool:
    return extent.file == file and extent.offset + extent.length > end
