"""How a reader says no to a file that lies: the right error, the right words, the path, and little memory."""

from __future__ import annotations

import tracemalloc
from os import PathLike, fspath

import pytest

from modelglot.core.errors import ModelFileError
from modelglot.core.format import Format
from modelglot.core.limits import Limits
from modelglot.sources.file import LocalFiles

_MEMORY = 4 << 20  # bytes at the peak, whatever sizes the file claims


def refused(
    reader: Format, path: PathLike[str], error: type[ModelFileError], text: str, limits: Limits | None = None
) -> None:
    """``reader.read`` raises ``error`` with ``text`` in it. Raises AssertionError where it does not."""
    tracemalloc.start()
    try:
        with pytest.raises(error) as caught:
            reader.read(LocalFiles(fspath(path)), limits or Limits())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < _MEMORY, f"{peak:,} bytes for a file that is refused"
    assert text in str(caught.value)
    assert caught.value.path
