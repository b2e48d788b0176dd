"""Whatever a state dict holds: written by modelglot, it is read back bit for bit by each format's own library."""

import struct
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import gguf
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

import modelglot
from modelglot.api.reading import read_model
from modelglot.core.dtype import DTYPES
from modelglot.core.errors import LossError
from modelglot.core.layout import Options
from modelglot.core.metadata import Entry, Metadata
from modelglot.core.model import Model
from modelglot.core.tensor import Inline, Tensor
from modelglot.formats.gguf import FORMAT as GGUF
from modelglot.testing.by_hand import write

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
LETTERS = st.characters(exclude_categories=["Cs"])
ODD = ["", ".", "..", "a.b.c", "../../etc/passwd", "/abs", "C:\\x", "a/b", "a\\b", "\n", "\t ", "a\0b", "__metadata__",
       "0", "x#2", "w" * 300, "ключ", "模型.重み", "\u202eevil", "'\"", "data.pkl",
       "None", "a" * 63, "b" * 127]  # fmt: skip
NAMES = st.one_of(st.text(LETTERS, max_size=12), st.sampled_from(ODD))
SHAPES = st.lists(st.integers(0, 4), max_size=4).map(tuple)
TORCH = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
         torch.uint8, torch.bool, torch.uint16, torch.uint32, torch.uint64, torch.complex64, torch.float8_e4m3fn,
         torch.float8_e5m2]  # fmt: skip
GGUF_TYPES = [torch.float64, torch.float32, torch.float16, torch.int64, torch.int32, torch.int16, torch.int8]
NUMPY = [t for t in TORCH if t not in (torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2)]


@st.composite
def tensor(draw, dtypes=TORCH, shapes=SHAPES):
    """Any bits (so NaN payloads and infinities, too), contiguous, transposed or sliced."""
    kind, shape = draw(st.sampled_from(dtypes)), draw(shapes)
    count = int(np.prod(shape))
    raw = np.random.default_rng(draw(st.integers(0, 999))).integers(0, 256, count * kind.itemsize + 8, dtype=np.uint8)
    made = torch.from_numpy(raw & 1 if kind is torch.bool else raw)[: count * kind.itemsize].view(kind).reshape(shape)
    if draw(st.booleans()) and made.dim() >= 2:
        made = made.transpose(0, -1)
    if draw(st.booleans()) and made.dim():
        made = made[:: draw(st.integers(1, 2))]
    return made


@st.composite
def states(draw, dtypes=TORCH, names=NAMES, shapes=SHAPES):
    found = draw(st.dictionaries(names, tensor(dtypes, shapes), min_size=1, max_size=5))
    tied = draw(names)
    return found if tied in found or not draw(st.booleans()) else {**found, tied: next(iter(found.values()))}


def bits(made):
    made = made if isinstance(made, torch.Tensor) else torch.from_numpy(np.array(made))
    flat = torch.empty(made.numel(), dtype=made.dtype).copy_(made.reshape(-1))
    return str(made.dtype), tuple(made.shape), bytes(flat.view(torch.uint8).numpy())


@contextmanager
def saved(state, suffix, losses=()):
    """The file that `modelglot.save` makes; nothing where the format says that it cannot hold the names."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "made" + suffix)
        try:
            modelglot.save(state, path, allow_loss=losses)
        except LossError as error:
            if "name" not in f"{error.what} {error.detail}" or path.exists():
                raise
            path = None
        yield path


@QUICK
@given(states())
def test_safetensors_as_the_reference_reads_it(state):
    with saved(state, ".safetensors") as path:
        if path is None:
            assert "__metadata__" in state
            return
        found = load_file(path)
        assert {n: bits(t) for n, t in found.items()} == {n: bits(t) for n, t in state.items()}


@QUICK
@given(states())
def test_torch_as_torch_loads_it(state):
    with saved(state, ".pt") as path:
        found = torch.load(path, weights_only=True)
        assert list(found) == list(state)
        assert {n: bits(t) for n, t in found.items()} == {n: bits(t) for n, t in state.items()}


@QUICK
@given(states(NUMPY, NAMES.filter(lambda n: n not in ("", "file") and "\0" not in n)))
def test_npz_as_numpy_loads_it(state):
    with saved(state, ".npz") as path:
        if path is None:
            return
        with np.load(path, allow_pickle=False) as found:
            assert {n: bits(found[n]) for n in found.files} == {n: bits(t) for n, t in state.items()}


@QUICK
@given(states(GGUF_TYPES, NAMES, st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple)))
def test_gguf_as_its_library_reads_it(state):
    with saved(state, ".gguf") as path:
        if path is None:
            assert any(len(n.encode()) >= 64 for n in state)
            return
        found = {t.name: t.data for t in gguf.GGUFReader(path).tensors}
        assert {n: bits(t.copy()) for n, t in found.items()} == {n: bits(t) for n, t in state.items()}


PLAIN = st.text("abcxyz._0123ü", min_size=1, max_size=20).filter(lambda n: ".." not in n)
FORMATS = (".safetensors", ".pt", ".gguf", ".npz")


@settings(QUICK, max_examples=6)
@given(states(GGUF_TYPES, PLAIN, st.lists(st.integers(0, 4), min_size=1, max_size=4).map(tuple)))
@pytest.mark.parametrize("source", FORMATS)
@pytest.mark.parametrize("target", FORMATS)
def test_converted_between_every_pair_nothing_differs(source, target, state):
    with saved(state, source) as path:
        out = path.with_name("out" + target)
        modelglot.convert(path, out, allow_loss=["metadata"])
        found = modelglot.diff(path, out)
        assert found.same
        again = path.with_name("again" + source)
        modelglot.convert(out, again, allow_loss=["metadata"])
        assert modelglot.diff(path, again).same


NUMBERS = {f"{s}{b}": st.integers(0 if s == "u" else -(1 << b - 1), (1 << b - (s == "i")) - 1)
           for b in (8, 16, 32, 64) for s in "ui"}  # fmt: skip
KINDS = NUMBERS | {
    "f32": st.floats(width=32, allow_nan=False), "f64": st.floats(allow_nan=False), "bool": st.booleans(),
    "str": st.text(LETTERS, max_size=10),
}  # fmt: skip
KEYS = st.text("abc._/ü", min_size=1, max_size=12).filter(lambda k: not k.startswith("split."))
ENTRIES = st.one_of(
    *(values.map(lambda v, k=kind: Entry(v, k)) for kind, values in KINDS.items()),
    *(st.lists(values, max_size=4).map(lambda v, k=kind: Entry(v, f"array[{k}]")) for kind, values in KINDS.items()),
)


@settings(QUICK, max_examples=80)
@given(st.dictionaries(KEYS, ENTRIES, max_size=6))
def test_metadata_goes_through_safetensors_and_comes_back(entries):
    one = Tensor("w", DTYPES["f32"], (1,), Inline(struct.pack("<f", 1.5)))
    model = Model("memory", (), {"w": one}, metadata=Metadata(entries))
    with TemporaryDirectory() as folder:
        first = write(GGUF.layout(model, Options(name="a.gguf")), model, Path(folder))["a.gguf"]
        modelglot.convert(first, Path(folder, "b.safetensors"))
        modelglot.convert(Path(folder, "b.safetensors"), Path(folder, "c.gguf"))
        assert read_model(str(Path(folder, "c.gguf"))).metadata == read_model(str(first)).metadata
        assert Path(folder, "c.gguf").read_bytes() == first.read_bytes()


LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-(1 << 70), 1 << 70), st.floats(allow_nan=False),
    st.text(LETTERS, max_size=8), st.binary(max_size=8),
    st.complex_numbers(allow_nan=False, allow_infinity=False), tensor(GGUF_TYPES),
)  # fmt: skip
TREE_KEYS = st.one_of(st.text(LETTERS, max_size=6), st.integers(-5, 300), st.none())
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(TREE_KEYS, inner, max_size=4)),
    max_leaves=12,
)  # fmt: skip


def plain(value):
    """Equal for equal trees: tensors as their bits, the type beside every value."""
    if isinstance(value, torch.Tensor):
        return bits(value)
    if isinstance(value, dict):
        return "dict", [(plain(k), plain(v)) for k, v in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [plain(v) for v in value]
    return type(value).__name__, repr(value)


KEY = st.text(LETTERS, min_size=1, max_size=6).filter(lambda k: "." not in k and k != "w")


@settings(QUICK, max_examples=120)
@given(st.dictionaries(KEY, TREES, max_size=4))
def test_nested_values_as_torch_loads_them(tree):
    tree = {"w": torch.ones(2), **tree}
    with TemporaryDirectory() as folder:
        path = Path(folder, "made.pt")
        modelglot.save(tree, path)
        assert plain(torch.load(path, weights_only=True)) == plain(tree)
