"""An HDF5 file opened over a run of bytes, read only: nothing outside that run can be reached through it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from modelglot.core.errors import DamagedFileError, MissingExtraError, ModelFileError, UnsupportedError, printable
from modelglot.core.format import Source

MAGIC = b"\x89HDF\r\n\x1a\n"


def library() -> Any:
    """h5py. Raises MissingExtraError."""
    try:
        import h5py
    except ImportError:
        raise MissingExtraError("this needs `h5py`", hint="pip install 'modelglot[hdf5]'") from None
    return h5py


@contextmanager
def opened(file: Window | io.BytesIO, path: str) -> Iterator[Any]:
    """The file as h5py has it. Whatever h5py raises on the way is a DamagedFileError of ``path``."""
    h5py = library()
    try:
        with h5py.File(file, "r") as found:
            if found.userblock_size:
                raise UnsupportedError("an HDF5 file with a user block before it is not read", path=path)
            yield found
    except ModelFileError as error:
        error.path = error.path or path
        raise
    except (
        Exception
    ) as error:  # the library has no exception of its own: OSError, KeyError, RuntimeError, ValueError ...
        said = printable(str(error).split("\n")[0], limit=160)
        hint = "the download may be incomplete" if "truncated" in said else None
        raise DamagedFileError(f"the HDF5 library cannot read it: {said}", path=path, hint=hint) from None


class Window(io.RawIOBase):
    """Part of a file as a file."""

    def __init__(self, source: Source, offset: int = 0, length: int | None = None) -> None:
        self._source, self._offset, self._at = source, offset, 0
        self._length = source.size - offset if length is None else length

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self._length)[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        count = max(0, min(len(view), self._length - self._at))
        if count:
            self._source.readinto(self._offset + self._at, view[:count])
            self._at += count
        return count
