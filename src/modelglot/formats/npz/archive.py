"""The archive of an ``.npz`` read and laid out.

Written archives are stored, never compressed, have fixed time stamps, and load with ``numpy.load(allow_pickle=False)``.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from modelglot.containers import npy_header
from modelglot.containers.npy_record import Record, objects_record, tensor_record
from modelglot.containers.pickle.window import Place, Window
from modelglot.containers.salvage import joined
from modelglot.containers.zip import Archive, Member
from modelglot.containers.zip_layout import Entry, build
from modelglot.containers.zip_rebuild import archives
from modelglot.core.encoding import Opaque
from modelglot.core.errors import DamagedFileError, InvalidFileError, UnsupportedError, located, printable
from modelglot.core.format import FileSet, Source
from modelglot.core.layout import Layout, Options
from modelglot.core.limits import KIB, Limits
from modelglot.core.model import Model, SideFile, ties
from modelglot.core.notes import Loss, Note
from modelglot.core.tensor import Extent, Missing, Tensor
from modelglot.core.tree import Node, TensorRef

NAME, SUFFIX = "npz", ".npz"


def read(files: FileSet, limits: Limits) -> Model:
    name = _name(files)
    source = files.open(name)
    number = files.index(name)
    archive = Archive(source, limits)
    limits.check("tensors", len(archive.by_name), "members of the archive")
    tensors: dict[str, Tensor] = {}
    items: list[tuple[str, object]] = []
    sides: list[SideFile] = []
    notes: list[Note] = []
    for member in archive.by_name.values():
        if member.name.endswith("/"):
            continue
        with located(path=source.path, member=member.name):
            record = _record(source, archive, member, number, limits)
        if record is None:
            sides.append(SideFile(member.name, archive.extent(member, number), "not an array"))
            continue
        again = next((n for n in record.tensors if n in tensors), None)
        if again is not None:
            raise InvalidFileError("two members give a tensor of this name", path=source.path, tensor=again)
        tensors.update(record.tensors)
        notes.extend(record.notes)
        items.append((member.name.removesuffix(".npy"), record.tree))
    nested = any(not isinstance(tree, TensorRef) for _, tree in items)
    return Model(
        NAME,
        files.refs(),
        tensors,
        None,
        tree=Node("dict", items) if nested else None,
        sides=tuple(sides),
        notes=(*archive.notes, *notes),
    )


def salvage(files: FileSet, limits: Limits) -> Model:
    """The members that are whole. Nothing in an archive says what else was in it."""
    name = _name(files)
    rest = "the archive is cut off, and nothing says what else was in it"
    return joined(files, name, archives(files.open(name)), lambda part: read(part, limits), rest)


def _name(files: FileSet) -> str:
    if files.primary is None:
        raise UnsupportedError("a folder of .npz files is not one model", path=files.root, hint="name one of the files")
    return files.primary


def _record(source: Source, archive: Archive, member: Member, number: int, limits: Limits) -> Record | None:
    """The array in a member; None where it is something else."""
    if not member.name.endswith(".npy"):
        return None
    extent = archive.extent(member, number)
    name = member.name.removesuffix(".npy")
    head = _head(source, extent, min(npy_header.READ, member.size))
    if not head.startswith(npy_header.MAGIC) and not npy_header.MAGIC.startswith(head):
        return None
    header = npy_header.parse(head)
    if not header.objects:
        record = tensor_record(name, header, extent, 0, member.size)
        if record.end < member.size:
            record.notes.append(
                Note(
                    "trailing-bytes",
                    f"{member.size - record.end:,} bytes follow the array in "
                    f"member {printable(member.name, code=True)}",
                    "warning",
                )
            )
        return record
    if extent.codec == "raw":
        window = Window(source, extent.offset + header.start, member.size - header.start)
    else:
        window = Window(data=archive.read(member, limit="pickle")[header.start :])
    return objects_record(name, window, Place(extent, header.start), limits, header.start)


def losses(model: Model) -> Iterable[Loss]:
    by_type: dict[str, list[str]] = {}
    for tensor in model.tensors.values():
        if _bad_name(tensor.name):
            yield Loss(
                "name",
                f"tensor {printable(tensor.name, code=True)}: an archive member of this name would "
                f"{_bad_name(tensor.name)}",
                "give it another with `--rename`",
            )
        if _descr(tensor) is None:
            by_type.setdefault(tensor.type_name, []).append(tensor.name)
    for kind, names in by_type.items():
        yield Loss(
            "dtype",
            f"no `{kind}` in NumPy .npz: {len(names):,} tensors, such as {printable(names[0], code=True)}",
            "`--dtype` casts floats on the way",
        )
    if len(model.metadata):
        keys = ", ".join(printable(k, code=True) for k in list(model.metadata)[:4])
        yield Loss("metadata", f"NumPy .npz holds no metadata: {len(model.metadata):,} entries ({keys}) are lost")
    for group in ties(model.tensors):
        size = model.tensors[group[0]].nbytes * (len(group) - 1)
        shared = ", ".join(printable(n, code=True) for n in group[:4])
        yield Loss("ties", f"{shared} share their bytes and are each written (+{size:,} bytes)", stops=False)


def layout(model: Model, options: Options) -> Layout:
    """Members in the order of the model, data at multiples of 64; what `losses` names is left out."""
    entries = []
    for tensor in model.tensors.values():
        descr = _descr(tensor)
        if descr is None or _bad_name(tensor.name) or isinstance(tensor.data, Missing):
            continue
        head = npy_header.render(descr, tensor.shape, bool(tensor.extra.get("npy:fortran")) and _is_opaque(tensor))
        entries.append(Entry(f"{tensor.name}.npy", head, tensor.name, tensor.nbytes, alignment=64))
    return Layout((build(options.name or "model" + SUFFIX, entries),))


def _head(source: Source, extent: Extent, length: int) -> bytes:
    """The first ``length`` bytes of a member, inflating no more than that."""
    if extent.codec == "raw":
        return source.pread(extent.offset, min(length, extent.length))
    stream = zlib.decompressobj(-15)
    made = b""
    at = 0
    try:
        while len(made) < length and not stream.eof and at < extent.length:
            stored = source.pread(extent.offset + at, min(64 * KIB, extent.length - at))
            at += len(stored)
            made += stream.decompress(stored, length - len(made))
    except zlib.error as error:
        raise DamagedFileError(f"the compressed data is damaged: {error}", offset=extent.offset) from None
    return made


def _is_opaque(tensor: Tensor) -> bool:
    return isinstance(tensor.encoding, Opaque)


def _descr(tensor: Tensor) -> str | None:
    """The type as NumPy spells it; None for what NumPy has not."""
    if _is_opaque(tensor):
        kept = tensor.extra.get("npy:descr")
        return kept if isinstance(kept, str) else None
    if tensor.encoding.name != "plain" or tensor.dtype.name not in npy_header.DESCR:
        return None
    return ("|" if tensor.dtype.itemsize == 1 else "<") + npy_header.DESCR[tensor.dtype.name]


def _bad_name(name: str) -> str | None:
    """What is wrong with a tensor name as the name of an archive member."""
    if not name or "\0" in name:
        return "have no name" if not name else "be cut at a NUL character"
    try:
        if len(name.encode()) > 0xFFFF - 4:
            return "be longer than zip allows"
    except UnicodeEncodeError:
        return "not be text"
    parts = name.replace("\\", "/").split("/")
    if ".." in parts or name[0] in "/\\" or (len(name) > 1 and name[1] == ":"):
        return "name a path outside the archive"
    return None
