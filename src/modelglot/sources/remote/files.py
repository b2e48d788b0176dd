"""The files beside an object elsewhere, and what a sniffer may see of it."""

from __future__ import annotations

from collections.abc import Iterable

from modelglot.core.errors import CannotOpenError
from modelglot.core.lazy import lazy
from modelglot.core.model import FileRef
from modelglot.sources.names import check_name
from modelglot.sources.remote.known import ListedSource, known_folder, known_names, known_object, source_of
from modelglot.sources.remote.objects import can_list, objects
from modelglot.sources.remote.source import RemoteSource
from modelglot.sources.remote.stores import below, folder_and_name, is_remote

MOST_LISTED = 100_000  # objects around one model
_DEEP = 32  # levels of folders
HEAD, TAIL = 4096, 65557  # the end of a zip file is looked for that far


class RemoteFiles:
    """The `FileSet` of a URL. Only stores of objects can be listed; over http there is what files name themselves."""

    def __init__(self, url: str, *, far: bool = True) -> None:
        self.url, self._far = url, far
        self.primary: str | None
        self.root, self.primary = folder_and_name(url)
        self._sources: dict[str, RemoteSource | ListedSource] = {}
        self._refs: dict[str, FileRef] = {}

    def names(self, depth: int = 1) -> tuple[str, ...]:
        known = known_names(self.root, depth)
        return tuple(n for n in self._listed if n.count("/") <= depth) if known is None else known

    def present(self, names: Iterable[str]) -> set[str]:
        wanted = set(names)
        if known_folder(self.root) is not None:
            return {name for name in wanted if known_object(self._url(name)) is not None}
        return wanted & set(self._listed) if self._can_list else {name for name in wanted if self._is_there(name)}

    def _is_there(self, name: str) -> bool:
        try:
            self.open(name)
        except CannotOpenError:
            return False
        return True

    @lazy
    def _can_list(self) -> bool:
        return len(self._listed) > 1 or not self.primary

    @lazy
    def _listed(self) -> tuple[str, ...]:
        alone = (self.primary,) if self.primary else ()
        try:
            known = known_names(self.root, _DEEP)
            return list_names(self.root) or alone if known is None else known
        except CannotOpenError:
            if not alone:
                raise
            return alone  # a file may be open to those who may not list

    def open(self, name: str) -> RemoteSource | ListedSource:
        if name not in self._sources:
            check_name(name, self.root)
            self._sources[name] = source_of(self._url(name), far=self._far)
        return self._sources[name]

    def _url(self, name: str) -> str:
        return self.url if name == self.primary else below(self.root, name)

    def index(self, name: str, role: str = "shard") -> int:
        if name not in self._refs:
            source = self.open(name)
            role = "primary" if name == self.primary else role
            self._refs[name] = FileRef(self._url(name), name, source.size, role, source.stamp)
        return list(self._refs).index(name)

    def refs(self) -> tuple[FileRef, ...]:
        """Of a listed object that was opened after it got its number, the stamp is known only now."""
        return tuple(ref if ref.stamp else ref._replace(stamp=self.open(n).stamp) for n, ref in self._refs.items())

    def close(self) -> None:
        for source in self._sources.values():
            source.close()


class RemoteProbe:
    """What a sniffer may see of a URL. Its source is kept, for the reader that follows."""

    def __init__(self, files: RemoteFiles) -> None:
        self.path, self._files = files.url, files
        self.is_folder = files.primary is None
        self.name = files.primary or files.root.rpartition("/")[2]
        self.size = 0 if files.primary is None else files.open(files.primary).size

    @property
    def names(self) -> tuple[str, ...]:
        return self._files.names()

    @lazy
    def head(self) -> bytes:
        return self._read(0, HEAD)

    @lazy
    def tail(self) -> bytes:
        return self._read(max(0, self.size - TAIL), TAIL)

    def _read(self, offset: int, most: int) -> bytes:
        if self._files.primary is None:
            return b""
        return self._files.open(self._files.primary).pread(offset, min(most, self.size - offset))


def list_names(root: str) -> tuple[str, ...]:
    """Names below a folder of a store that can be listed, sorted; nothing for http. Raises CannotOpenError."""
    return tuple(sorted(name for name, _ in objects(root, MOST_LISTED))) if can_list(root) else ()


__all__ = ["RemoteFiles", "RemoteProbe", "is_remote", "list_names"]
