"""Recognises what is not a model, or is one of a format that is not read, and says what to do instead.

`sniff` claims such content like any format; `read` raises the error that explains it.
"""

from __future__ import annotations

from modelglot.core.errors import ModelFileError, UnknownFormatError
from modelglot.core.format import FileSet, FormatInfo, Match, Probe, ReadOnly
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.formats.not_a_model import mistakes, neighbours
from modelglot.formats.not_a_model.found import Found, Look

_HEAD, _TAIL = 4096, 65536


class NotAModel(ReadOnly):
    info = FormatInfo(
        name="not-a-model",
        title="not a model",
        suffixes=(),
        spec="",
        can=frozenset(),
        blurb="pointers, error pages, broken downloads, tokenizers, formats that are not read: named for what they are",
    )

    def sniff(self, probe: Probe) -> Match | None:
        look = Look(probe.name.lower(), probe.head, probe.tail, probe.size, tuple(probe.names), probe.is_folder)
        found = _best(look)
        return Match(found.score, found.what) if found else None

    def read(self, files: FileSet, limits: Limits) -> Model:
        """Never returns: raises DamagedFileError, UnknownFormatError or UnsupportedError with what to do."""
        raise explain(files) or UnknownFormatError("this is nothing that is known", path=files.root)


def explain(files: FileSet, name: str | None = None, *, least: int = 0) -> ModelFileError | None:
    """The error for what a file or folder really is; None where that is less sure than ``least``.

    Worth asking after any reader failed, too: a file that only has the name of its format ends here.
    """
    name = name or files.primary
    names = tuple(files.names())
    if name is None:
        found = _best(Look("", b"", b"", 0, names, True))
        return found.raised(files.root) if found else None
    source = files.open(name)
    head = source.pread(0, min(_HEAD, source.size))
    tail = source.pread(max(0, source.size - _TAIL), min(_TAIL, source.size))
    found = _best(Look(name.rpartition("/")[2].lower(), head, tail, source.size, names))
    return found.raised(source.path) if found and found.score >= least else None


def _best(look: Look) -> Found | None:
    return max((*mistakes.recognise(look), *neighbours.recognise(look)), key=lambda f: f.score, default=None)


FORMAT = NotAModel()
