"""A target in a bucket: written and proven here, in a folder of its own, then uploaded."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from threading import Event
from typing import BinaryIO

from modelglot.core.errors import CannotWriteError, TargetExistsError
from modelglot.core.urls import public
from modelglot.sources.remote.causes import cause
from modelglot.sources.remote.stores import Place, below, place
from modelglot.sources.sink import Sink

_PART, _MOST_PARTS = 16 << 20, 9_000  # bytes of one part of an upload; services take 10,000 of them
_AT_ONCE = 4  # parts
_PIECE = 4 << 20


class RemoteSink(Sink):
    """Each object appears whole, as stores have it; of a folder the index and the settings come last.

    It takes the room of the output on this machine's disk, and a run that was killed begins anew. Raises
    CannotWriteError for a URL that nothing can be uploaded to.
    """

    def __init__(self, target: str, names: list[str], *, folder: bool, force: bool = False) -> None:
        self.url = target.rstrip("/")
        if not place(self.url).listed:
            raise CannotWriteError(
                "nothing can be written there", path=public(target), hint="write to a path, or to s3://, gs:// or az://"
            )
        self._here = tempfile.mkdtemp(prefix="modelglot-")
        try:
            super().__init__(os.path.join(self._here, "target"), names, folder=folder, force=force)
        except BaseException:
            shutil.rmtree(self._here, ignore_errors=True)
            raise

    def outputs(self) -> list[str]:
        return [below(self.url, name) for name in self.names] if self.folder else [self.url]

    def _check(self) -> None:
        if self._force:
            return
        for url in self.outputs():
            if _is_there(place(url), url):
                raise TargetExistsError("exists already", path=public(url), hint="`--force` replaces it")

    def publish(self) -> None:
        """Upload everything, in parts."""
        urls = dict(zip(self.names, self.outputs(), strict=True))
        for name in in_order(self.names):
            url = urls[name]
            try:
                _upload(place(url, writing=True), self.path(name))
            except (import_module("obstore.exceptions").BaseError, OSError) as error:
                hint = "what was uploaded before it stays; " if self.folder else "nothing there was replaced; "
                raise CannotWriteError(
                    "the upload failed", path=public(url), detail=cause(error), hint=f"{hint}run it again"
                ) from None

    def __exit__(self, *kept: object) -> None:
        self.keep = False
        super().__exit__(*kept)
        shutil.rmtree(self._here, ignore_errors=True)


def in_order(names: Iterable[str]) -> list[str]:
    """What names other files comes after them."""
    return sorted(names, key=lambda name: name.endswith(".json"))


def _upload(where: Place, path: str) -> None:
    """Parts in a thread of their own: Ctrl-C reaches this one, and then the bytes end and the store drops the parts."""
    size = os.path.getsize(path)
    part, halt = max(_PART, -(-size // _MOST_PARTS)), Event()
    with ThreadPoolExecutor(1) as pool, open(path, "rb") as file:
        what = _pieces(file, halt) if size > part else file.read()
        done = pool.submit(
            import_module("obstore").put, where.store, where.key, what, chunk_size=part, max_concurrency=_AT_ONCE
        )
        try:
            done.result()
        except BaseException:
            halt.set()
            raise


def _pieces(file: BinaryIO, halt: Event) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        if halt.is_set():
            raise InterruptedError
        yield piece


def _is_there(where: Place, url: str) -> bool:
    errors = import_module("obstore.exceptions")
    try:
        import_module("obstore").head(where.store, where.key)
    except (errors.NotFoundError, FileNotFoundError):
        return False
    except (errors.BaseError, OSError) as error:
        raise CannotWriteError("it cannot be seen what is there", path=public(url), detail=cause(error)) from None
    return True
