"""A tree in a store, listed once: a snapshot of its folders, for who walks it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from modelglot.core.errors import CannotOpenError, UnsupportedError
from modelglot.core.urls import public
from modelglot.sources.remote.objects import NoPathError, Object, can_list, children, objects
from modelglot.sources.remote.stores import folder_and_name

MOST_IN_TREE = 1_000_000  # objects: about 0.4 kB of memory each


@dataclass(frozen=True, slots=True)
class Folder:
    """Objects by name, and names of folders. Both hold everything, hidden ones too. ``error``: why it is not known."""

    files: dict[str, Object] = field(default_factory=dict)
    folders: dict[str, None] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """Folders by their URL, without a slash at its end."""

    folders: dict[str, Folder] = field(default_factory=dict)
    _named: dict[tuple[str, int], tuple[str, ...]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, roots: Iterable[str]) -> Listing:
        """Everything below these URLs. Raises CannotOpenError, UnsupportedError for a server that lists nothing."""
        made = cls()
        for root in roots:
            made._add(root.rstrip("/"))
        return made

    def _add(self, root: str) -> None:
        if not can_list(root):
            raise UnsupportedError(
                "a web server does not list what it has", path=public(root),
                hint="name the files, or ask a store: s3://, gs://, az://, hf://",
            )  # fmt: skip
        try:
            self._at_once(root)
        except NoPathError:
            self._one_by_one(root)
        if root not in self.folders:
            raise CannotOpenError("no such folder", path=public(root), detail="the store lists nothing below it")
        for url in list(self.folders):  # an object that only marks a folder, as web consoles make them
            above, _, base = url.rpartition("/")
            if url != root and above in self.folders:
                self.folders[above].files.pop(base, None)

    def _at_once(self, root: str) -> None:
        for number, (name, found) in enumerate(objects(root, MOST_IN_TREE)):
            if number == 0:
                self.folders.setdefault(root, Folder())
            inside, _, base = name.rpartition("/")
            folder = f"{root}/{inside}" if inside else root
            if folder not in self.folders:
                self._make(root, inside)
            self.folders[folder].files[base] = found

    def _one_by_one(self, root: str) -> None:
        """Where a key is no path the store's library gives up: a request a folder, and only that one is lost."""
        urls = [root]
        while urls:
            url = urls.pop()
            try:
                files, below = children(url)
            except NoPathError as error:
                self.folders[url] = Folder(error=error.detail)
                continue
            self.folders[url] = Folder(files, dict.fromkeys(below))
            urls += (f"{url}/{name}" for name in below)

    def _make(self, root: str, inside: str) -> None:
        at = root
        for part in inside.split("/"):
            self.folders[at].folders[part] = None
            at = f"{at}/{part}"
            self.folders.setdefault(at, Folder())

    def part(self, folder: str, depth: int) -> Listing:
        """The folder and ``depth`` levels below it."""
        found = {folder: self.folders[folder]} if folder in self.folders else {}
        for url in list(found) if depth else ():
            for name in self.folders[url].folders:
                found |= self.part(f"{url}/{name}", depth - 1).folders
        return Listing(found)

    def find(self, url: str) -> Object | None:
        root, name = folder_and_name(url)
        folder = self.folders.get(root)
        return folder.files.get(name) if folder is not None and name else None

    def names(self, root: str, depth: int) -> tuple[str, ...]:
        """As `sources.file.list_names` has those of a disk."""
        if (root, depth) not in self._named:
            self._named[root, depth] = tuple(sorted(self._below(root, "", depth)))
        return self._named[root, depth]

    def _below(self, url: str, prefix: str, depth: int) -> Iterator[str]:
        folder = self.folders.get(url, Folder())
        yield from (prefix + name for name in folder.files)
        for name in folder.folders if depth else ():
            if not name.startswith("."):
                yield from self._below(f"{url}/{name}", f"{prefix}{name}/", depth - 1)
