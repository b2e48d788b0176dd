"""The contract of a format: it describes, it never moves tensor bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from modelglot.core.errors import UnsupportedError
from modelglot.core.layout import Layout, Options
from modelglot.core.limits import Limits
from modelglot.core.model import FileRef, Model
from modelglot.core.notes import Finding, Loss


class FormatInfo(NamedTuple):
    """``name`` is kebab-case and what ``--to`` and ``--from`` take. ``suffixes`` start with a dot, the usual one first.

    ``can`` is a subset of read, write, shards (several output files), tree (nested values), tree-shards (both at once),
    metadata (typed), text-metadata (``str -> str`` only), ties, folder, into (weights go into the graph of its file).
    ``dtypes`` names the dtypes and block encodings a writer can hold as they are. ``framework`` is the label that
    safetensors files carry for tensors of this origin (``pt``), which some loaders insist on.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    spec: str
    can: frozenset[str]
    dtypes: frozenset[str] = frozenset()
    extra: str | None = None
    framework: str | None = None
    blurb: str = ""


class Match(NamedTuple):
    """How sure a reader is: 100 a magic number, 80 a plausible structure, 50 a guess. ``why`` is for people."""

    score: int
    why: str
    dialect: str | None = None


class Source(Protocol):
    """Random access to the bytes of one file."""

    path: str
    size: int

    def pread(self, offset: int, length: int) -> bytes:
        """Exactly ``length`` bytes, or DamagedFileError."""
        ...

    def readinto(self, offset: int, buffer: memoryview) -> None: ...


class Probe(Protocol):
    """What `sniff` may look at: the first 4 KiB, the last 64 KiB, the name, the names beside it."""

    name: str
    size: int
    is_folder: bool

    @property
    def names(self) -> Sequence[str]:
        """Of the folder, or of the folder the file is in; sorted, with ``/`` for one level of sub-folders."""
        ...

    @property
    def head(self) -> bytes: ...

    @property
    def tail(self) -> bytes: ...


class FileSet(Protocol):
    """The files a reader may open: the one given and those beside it, never outside the folder."""

    primary: str | None  # the name of the file given; None when a folder was given
    root: str  # the folder's path

    def names(self, depth: int = 1) -> Sequence[str]:
        """Names in the folder, sorted; with ``/`` for ``depth`` levels of sub-folders."""
        ...

    def present(self, names: Iterable[str]) -> set[str]:
        """Those of ``names`` that are there. A web server lists nothing, but can be asked for each."""
        ...

    def open(self, name: str) -> Source:
        """Raises UnsafeContentError for a name that leaves the folder, CannotOpenError where there is no file."""
        ...

    def index(self, name: str, role: str = "shard") -> int:
        """The number of that file in the model's ``files``, assigned on first use."""
        ...

    def refs(self) -> tuple[FileRef, ...]:
        """The files indexed so far, for ``Model.files``."""
        ...


class Format(Protocol):
    """A reader, and a writer where ``info.can`` has ``write``."""

    info: FormatInfo

    def sniff(self, probe: Probe) -> Match | None:
        """Never raises, never a false negative for a valid file."""
        ...

    def read(self, files: FileSet, limits: Limits) -> Model:
        """Headers and indexes only; every extent lies inside its file. Equal files give equal models."""
        ...

    def losses(self, model: Model) -> Iterable[Loss]:
        """Each thing this target cannot hold, named."""
        ...

    def layout(self, model: Model, options: Options) -> Layout:
        """Pure: the same model and options give the same layout."""
        ...

    def hazards(self, files: FileSet, limits: Limits) -> Iterable[Finding]:
        """Constructs that would run or fetch something; nothing is imported, called or unpickled."""
        ...


@runtime_checkable
class Salvager(Protocol):
    """A format of which something can be had when a file is damaged."""

    info: FormatInfo

    def salvage(self, files: FileSet, limits: Limits) -> Model:
        """`read` of what is left. Extents may end after their file, where a header says so; a tensor that cannot be had
        is `Missing`; a note ``cut-off`` says what else is lost. Raises DamagedFileError where nothing can be read."""
        ...


class ReadOnly:
    """What a format says that is not written and holds nothing that could run; ``instead`` is what to write for it."""

    info: FormatInfo
    instead: str | None = None

    def losses(self, model: Model) -> Iterable[Loss]:
        return ()

    def layout(self, model: Model, options: Options) -> Layout:
        raise UnsupportedError(f"`{self.info.name}` is not written", hint=self.instead)

    def hazards(self, files: FileSet, limits: Limits) -> Iterable[Finding]:
        return ()
