"""A target in a bucket that is written there and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from modelglot.core.errors import CannotWriteError
from modelglot.sources.remote import uploads
from modelglot.sources.remote.sink import RemoteSink, in_order
from modelglot.sources.remote.uploads import Upload


class PartSink(RemoteSink):
    """The work folder on this machine has the outlines only: files with their headers, and holes for the tensors.

    Parts are sent by whoever has their bytes, and told by `sent`. Until `publish` nothing is visible; where that is not
    reached, what was sent is given up. A process that was killed leaves parts that nobody sees but the bill: a
    lifecycle rule of the bucket removes them.
    """

    streams = True

    def __init__(self, target: str, names: list[str], *, folder: bool, force: bool = False) -> None:
        super().__init__(target, names, folder=folder, force=force)
        self._uploads: dict[str, Upload] = {}
        self._tags: dict[str, dict[int, str]] = {}

    def check_space(self, need: int) -> None:
        """There is room for it elsewhere."""

    def upload(self, name: str, size: int) -> Upload:
        """Begin to send an output. Raises CannotWriteError."""
        url = dict(zip(self.names, self.outputs(), strict=True))[name]
        self._uploads[name] = uploads.begin(url, size)
        self._tags[name] = {}
        return self._uploads[name]

    def sent(self, name: str, tags: Mapping[int, str]) -> None:
        self._tags[name].update(tags)

    def publish(self) -> None:
        for name in in_order(self._uploads):
            uploads.finish(self._uploads[name], self._tags[name])
            del self._uploads[name]

    def __exit__(self, *kept: object) -> None:
        for upload in self._uploads.values():
            with suppress(CannotWriteError):
                uploads.abort(upload)
        super().__exit__(*kept)
