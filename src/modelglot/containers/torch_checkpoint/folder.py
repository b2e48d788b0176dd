"""Any PyTorch file by its first bytes: shards and folders hold zip or legacy files, whatever the index is of."""

from __future__ import annotations

from modelglot.containers.torch_checkpoint.detect import is_legacy
from modelglot.containers.torch_checkpoint.reading import model
from modelglot.core.format import FileSet
from modelglot.core.limits import Limits
from modelglot.core.model import Model


def read_file(files: FileSet, limits: Limits, name: str) -> Model:
    """One file, as the format it is in. Raises what its reader raises."""
    source = files.open(name)
    if is_legacy(source.pread(0, min(64, source.size))):
        from modelglot.containers.torch_checkpoint.legacy import read_legacy

        return model(files, "torch-legacy", read_legacy(files, name, limits))
    from modelglot.containers.torch_checkpoint.archive import read_zip

    return model(files, "torch-zip", read_zip(files, name, limits))
