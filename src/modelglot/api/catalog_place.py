"""A catalog in a store: fetched to be asked, fetched, replaced and uploaded by a build."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from modelglot.core.errors import CannotWriteError, ModelFileError
from modelglot.core.urls import public
from modelglot.sources.opening import is_remote, open_sink, open_source
from modelglot.sources.remote.objects import can_list, object_at

_NAME = "catalog.parquet"
_STEP = 16 << 20


@contextmanager
def to_read(catalog: str) -> Iterator[str]:
    """A path of this machine. Raises CannotOpenError where there is no such object."""
    if not is_remote(catalog):
        yield catalog
        return
    with tempfile.TemporaryDirectory(prefix="modelglot-") as folder:
        copy = os.path.join(folder, _NAME)
        _fetch(catalog, copy)
        with _called(copy, catalog):
            yield copy


@contextmanager
def to_replace(catalog: str) -> Iterator[str]:
    """A path of this machine, with what is there already; what lies there at the end is uploaded, in one step that
    others see. Raises CannotWriteError; where the upload fails the file stays here, and the error says where."""
    if not is_remote(catalog):
        yield catalog
        return
    with open_sink(catalog, [_NAME], folder=False, force=True) as sink:
        sink.open(resume=False)
        copy = sink.path(_NAME)
        if can_list(catalog) and object_at(catalog) is not None:
            _fetch(catalog, copy)
        with _called(copy, catalog):
            yield copy
        try:
            sink.publish()
        except CannotWriteError as error:
            kept = os.path.join(tempfile.mkdtemp(prefix="modelglot-"), _NAME)
            shutil.move(copy, kept)
            error.hint = f"the catalog was kept as `{kept}`"
            raise


def _fetch(url: str, path: str) -> None:
    with open_source(url) as source, open(path, "wb") as file:
        for at in range(0, source.size, _STEP):
            file.write(source.pread(at, min(_STEP, source.size - at)))


@contextmanager
def _called(copy: str, url: str) -> Iterator[None]:
    """Errors about the copy are about what it is a copy of."""
    try:
        yield
    except ModelFileError as error:
        if error.path == copy:
            error.path = public(url)
        raise
