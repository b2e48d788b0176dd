"""A target in a bucket: written and proven here, in a folder of its own, then uploaded."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

from modelglot.core.errors import CannotWriteError, TargetExistsError
from modelglot.core.urls import public
from modelglot.sources.remote.stores import Place, below, place
from modelglot.sources.sink import Sink

_PART, _MOST_PARTS = 16 << 20, 9_000  # bytes of one part of an upload; services take 10,000 of them
_AT_ONCE = 4  # parts


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
            where, path = place(url, writing=True), self.path(name)
            size = max(_PART, -(-os.path.getsize(path) // _MOST_PARTS))
            try:
                import_module("obstore").put(
                    where.store, where.key, Path(path), chunk_size=size, max_concurrency=_AT_ONCE
                )
            except (import_module("obstore.exceptions").BaseError, OSError) as error:
                raise CannotWriteError("the upload failed", path=public(url), detail=type(error).__name__) from None

    def __exit__(self, *kept: object) -> None:
        self.keep = False
        super().__exit__(*kept)
        shutil.rmtree(self._here, ignore_errors=True)


def in_order(names: Iterable[str]) -> list[str]:
    """What names other files comes after them."""
    return sorted(names, key=lambda name: name.endswith(".json"))


def _is_there(where: Place, url: str) -> bool:
    errors = import_module("obstore.exceptions")
    try:
        import_module("obstore").head(where.store, where.key)
    except (errors.NotFoundError, FileNotFoundError):
        return False
    except errors.BaseError as error:
        raise CannotWriteError("the store gives no answer", path=public(url), detail=type(error).__name__) from None
    return True
