"""GGUF: whatever metadata and tensors a model has, what is written reads back the same."""

import struct
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from modelglot.containers.ggml_types import BLOCK_TYPES, PLAIN_TYPES
from modelglot.core.dtype import dtype
from modelglot.core.encoding import BLOCKS, PLAIN
from modelglot.core.errors import ModelFileError
from modelglot.core.layout import Options
from modelglot.core.limits import Limits
from modelglot.core.metadata import Entry, Metadata
from modelglot.core.model import Model
from modelglot.core.tensor import Inline, Tensor
from modelglot.formats.gguf import FORMAT
from modelglot.sources.file import LocalFiles
from modelglot.testing.by_hand import tensor_bytes, write

BITS = (8, 16, 32, 64)
RANGES = {f"u{b}": (0, 2**b - 1) for b in BITS} | {f"i{b}": (-(2 ** (b - 1)), 2 ** (b - 1) - 1) for b in BITS}
LETTERS = st.characters(exclude_categories=["Cs"])
TEXT = st.text(LETTERS, max_size=20)
SCALARS = {name: st.integers(*bounds) for name, bounds in RANGES.items()} | {
    "bool": st.booleans(), "str": TEXT, "f64": st.floats(allow_nan=False), "f32": st.floats(width=32, allow_nan=False),
}  # fmt: skip
KEYS = st.text(LETTERS, min_size=1, max_size=20).filter(
    lambda k: k != "general.alignment" and not k.startswith("split.")
)


@st.composite
def entries(draw):
    kind = draw(st.sampled_from(sorted(SCALARS)))
    if draw(st.booleans()):
        return Entry(draw(SCALARS[kind]), kind)
    return Entry(draw(st.lists(SCALARS[kind], max_size=8)), f"array[{kind}]")


@st.composite
def tensors(draw, name):
    kind = draw(st.sampled_from([*PLAIN_TYPES.values(), *BLOCK_TYPES.values()]))
    block = BLOCKS.get(kind)
    rows = draw(st.lists(st.integers(0, 3), max_size=3))
    shape = (*rows, draw(st.integers(0, 2)) * block.elements if block else draw(st.integers(0, 9)))
    made = Tensor(name, dtype("f32" if block else kind), shape, Inline(b""), block or PLAIN)
    data = draw(st.binary(min_size=made.nbytes, max_size=made.nbytes)) if made.nbytes < 64 else bytes(made.nbytes)
    return Tensor(name, made.dtype, shape, Inline(data), made.encoding)


@st.composite
def models(draw):
    names = draw(st.lists(st.text(LETTERS, min_size=1, max_size=12), unique=True, max_size=6))
    metadata = draw(st.dictionaries(KEYS, entries(), max_size=6))
    return Model("x", (), {n: draw(tensors(n)) for n in names}, metadata=Metadata(metadata))


def plain(value):
    return list(value) if not isinstance(value, (str, int, float)) else value


@settings(deadline=None, max_examples=150)
@given(models(), st.sampled_from([None, 1, 64, 500]), st.sampled_from(["1", "8", "32", "4096"]))
def test_what_is_written_reads_back(model, most, alignment):
    assert not any(loss.stops for loss in FORMAT.losses(model))
    with TemporaryDirectory() as folder:
        options = Options(max_shard_size=most, name="m.gguf", settings={"gguf:alignment": alignment})
        made = FORMAT.layout(model, options)
        assert made == FORMAT.layout(model, options)
        files = write(made, model, Path(folder))
        got = FORMAT.read(LocalFiles(str(next(iter(files.values())))), Limits())
        assert got.tensors.keys() == model.tensors.keys()
        assert {n: (t.shape, t.type_name, tensor_bytes(got, n)) for n, t in got.tensors.items()} == {
            n: (t.shape, t.type_name, t.data.data) for n, t in model.tensors.items()
        }
        assert {k: (e.type, plain(e.value)) for k, e in got.metadata.entries() if k != "general.alignment"} == {
            k: (e.type, plain(e.value)) for k, e in model.metadata.entries()
        }
        assert not got.notes


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=200))
def test_any_bytes_after_the_magic(tail):
    with TemporaryDirectory() as folder, suppress(ModelFileError):
        path = Path(folder) / "a.gguf"
        path.write_bytes(b"GGUF" + struct.pack("<I", 3) + tail)
        FORMAT.read(LocalFiles(str(path)), Limits())
