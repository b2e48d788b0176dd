"""PyTorch's zip archives: ``root/data.pkl`` describes, ``root/data/N`` are the storages.

The same archive serves ``torch.save`` since 1.6 and TorchScript, which adds ``constants.pkl`` and ``code/``.
Source: what ``torch.save`` and ``torch.jit.save`` of PyTorch 1.4 to 2.13 write, and what ``torch.load`` accepts.
"""

from __future__ import annotations

from modelglot.containers.pickle.machine import Machine
from modelglot.containers.pickle.naming import Named
from modelglot.containers.pickle.torch_storage import Home, Resolve, Storages
from modelglot.containers.pickle.window import Place, Window
from modelglot.containers.torch_checkpoint.reading import Parts, machine, named_value
from modelglot.containers.zip import Archive, Member
from modelglot.core.collector import paused
from modelglot.core.errors import InvalidFileError, located, printable
from modelglot.core.format import FileSet, Source
from modelglot.core.limits import MIB, Limits
from modelglot.core.model import SideFile
from modelglot.core.notes import Note
from modelglot.sources.part import Part

_OWN = ("version", "byteorder", ".format_version", ".storage_alignment", ".data/serialization_id")
_WHOLE = 16 * MIB  # a stored pickle up to this size is read at once and checked against its CRC-32


class TorchArchive:
    """One archive. ``file`` is its number in the model; ``root`` the folder all of it lies in, with a final slash.

    ``part`` is (offset, length) of an archive that lies inside of a file.
    """

    def __init__(self, files: FileSet, name: str, limits: Limits, part: tuple[int, int] | None = None) -> None:
        source: Source = files.open(name)
        self.file = files.index(name)
        self.limits = limits
        self.zip = Archive(Part(source, *part), limits, part[0]) if part else Archive(source, limits)
        self.root = self._root()
        self.used: set[str] = set()
        self.byteorder = self._byteorder()

    @property
    def is_package(self) -> bool:
        """Written by ``torch.package``: Python files beside the pickles."""
        return any(n.endswith((".data/extern_modules", ".data/python_version")) for n in self.zip.by_name)

    def _root(self) -> str:
        """The folder of ``data.pkl``. Raises InvalidFileError where there is none."""
        found = [m.name for m in self.zip.members if m.name == "data.pkl" or m.name.endswith("/data.pkl")]
        if self.is_package:
            return ""
        flat = [n for n in found if n.count("/") <= 1]
        if not found:
            raise InvalidFileError("the zip has no member `data.pkl`", path=self.zip.source.path)
        chosen = (flat or found)[0]
        if len(set(found)) > 1:
            self.zip.notes.append(
                Note(
                    "several-pickles",
                    f"{len(set(found))} members are named `data.pkl`; {printable(chosen, code=True)} was read",
                    "warning",
                )
            )
        return chosen.removesuffix("data.pkl")

    def _byteorder(self) -> str:
        member = self.zip.by_name.get(f"{self.root}byteorder")
        if member is None or member.size > 16:
            return "little"
        text = self.zip.read(member)
        if text not in (b"little", b"big"):
            raise InvalidFileError(
                f"the byte order is {printable(repr(text))}", path=self.zip.source.path, member=member.name
            )
        return text.decode()

    def resolver(self, folder: str) -> Resolve:
        """Storages of a folder of the archive, by key."""
        prefix, by_name = f"{self.root}{folder}/", self.zip.by_name

        def resolve(key: str) -> Home | None:
            member = by_name.get(prefix + key)
            if member is None:
                return None
            self.used.add(member.name)
            return Home(self.zip.extent(member, self.file), member.size, self.byteorder)

        return resolve

    def window(self, member: Member) -> tuple[Window, Place]:
        """The stream of a pickle member: in memory where it is compressed or small, else in place."""
        extent = self.zip.extent(member, self.file)
        if member.codec == "raw" and member.size > _WHOLE:
            return Window(self.zip.source, self.zip.start(member), extent.length), Place(extent)
        return Window(data=self.zip.read(member)), Place(extent)

    def pickle(self, member_name: str, folder: str, prefix: str = "") -> tuple[Named, Machine]:
        """A pickle member run and its tensors named. Errors carry path and member."""
        member = self.zip.by_name[member_name]
        self.used.add(member_name)
        with located(path=self.zip.source.path, member=member_name):
            window, place = self.window(member)
            runner = machine(window, self.limits, place, Storages(self.resolver(folder)))
            value, end = runner.run()
            if end != window.length:
                self.zip.notes.append(
                    Note(
                        "pickle-trailing",
                        f"{window.length - end:,} bytes follow the pickle in "
                        f"member {printable(member_name, code=True)}",
                        "warning",
                    )
                )
        with located(path=self.zip.source.path):
            return named_value(value, window, self.limits, None, prefix), runner

    def parts(self, named: Named, *, what: str = "a member this format does not use") -> Parts:
        """The result: members nobody used become side files, storages nobody used are noted."""
        parts = Parts(named)
        unused, storages = 0, f"{self.root}data/"
        for member in self.zip.by_name.values():
            if member.name in self.used or member.name.removeprefix(self.root) in _OWN or member.name.endswith("/"):
                continue
            if member.name.startswith(storages):
                unused += 1
            elif member.codec in ("raw", "deflate"):
                short = member.name.removeprefix(self.root)
                parts.sides.append(SideFile(short, self.zip.extent(member, self.file), what))
        if unused:
            parts.notes.append(Note("unused-storage", f"{unused:,} storages of the archive belong to no tensor"))
        parts.notes = [*self.zip.notes, *parts.notes]
        return parts


def read_zip(files: FileSet, name: str, limits: Limits) -> Parts:
    """A file by ``torch.save``."""
    with paused():
        archive = TorchArchive(files, name, limits)
        named, _ = archive.pickle(f"{archive.root}data.pkl", "data")
        return archive.parts(named)
