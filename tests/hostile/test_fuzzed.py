"""What fuzzing (``make fuzz``) made a reader stumble over: each ends in an error of ours, or is read."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from fuzz.memory import unpack

from modelglot.core.errors import ModelFileError
from modelglot.core.limits import Limits
from modelglot.formats import registry
from modelglot.sources.file import LocalFiles

DATA = Path(__file__).parent / "data"  # larger ones, as the fuzzer packs several files
# (format, the path given, files)
FOUND = (
    ("tf-checkpoint", ".", {"checkpoint": rb'model_checkpoint_path: "C:\\run\9l"' + b"\n"}),
    ("deepspeed", ".", {}),
    ("deepspeed", ".", unpack((DATA / "deepspeed-paddings.packed").read_bytes())),
    ("flax", "m.msgpack", {"m.msgpack": bytes.fromhex("81a161c7040292910102")}),  # a complex number of a list
    ("flax", "m.msgpack",
     {"m.msgpack": b"\x81\xa1a\x83\xb9__msgpack_chunked_array__\xc3\xa5shape\x92\x01\x02\xa6chunks\x80"}),
    ("darknet", ".", {"m.cfg": b"[net]\nwidth=4\nheight=4\nchannels=2\n[convolutional]\nfilters=--0\nsize=1\n",
                      "m.weights": bytes(24)}),
)  # fmt: skip


@pytest.mark.parametrize(("format", "given", "files"), FOUND, ids=[f"{n}-{row[0]}" for n, row in enumerate(FOUND)])
def test_no_exception_of_another_kind(format: str, given: str, files: dict[str, bytes], tmp_path: Path) -> None:
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    reader, folder = registry.get(format), LocalFiles(str(tmp_path / given))
    with suppress(ModelFileError):
        reader.read(folder, Limits())
    with suppress(ModelFileError):
        list(reader.hazards(folder, Limits()))
