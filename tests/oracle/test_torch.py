"""Against PyTorch itself: it reads what we write, we read what it writes."""

import collections
import io
import struct
import tarfile
import warnings

import pytest

torch = pytest.importorskip("torch")

from modelglot.core.layout import Options  # noqa: E402
from modelglot.core.limits import Limits  # noqa: E402
from modelglot.core.model import Model, ties  # noqa: E402
from modelglot.core.tensor import Missing, Stored  # noqa: E402
from modelglot.core.tree import Inert, Node, TensorRef  # noqa: E402
from modelglot.formats import registry  # noqa: E402
from modelglot.formats.torch_legacy import FORMAT as LEGACY  # noqa: E402
from modelglot.formats.torch_zip import FORMAT as ZIP  # noqa: E402
from modelglot.formats.torchscript import FORMAT as SCRIPT  # noqa: E402
from modelglot.sources.file import FileProbe, LocalFiles  # noqa: E402
from modelglot.testing.by_hand import tensor_bytes, write  # noqa: E402

warnings.simplefilter("ignore")
pytestmark = pytest.mark.filterwarnings("ignore")

DTYPES = [
    "float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "uint16", "uint32",
    "uint64", "bool", "complex64", "complex128", "complex32", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz",
    "float8_e5m2fnuz", "float8_e8m0fnu",
]  # fmt: skip


def raw(tensor):
    tensor = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    return tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""


def random(kind, *shape):
    dtype = getattr(torch, kind)
    size = torch.empty(0, dtype=dtype).element_size()
    count = int(torch.tensor(shape).prod()) if shape else 1
    if kind == "bool":
        return torch.randint(0, 2, shape).bool()
    data = torch.randint(0, 255, (count * size,), dtype=torch.uint8)
    return data.view(dtype).reshape(shape)


def opened(path, form=ZIP):
    files = LocalFiles(str(path))
    model = form.read(files, Limits())
    assert form.read(LocalFiles(str(path)), Limits()).tensors == model.tensors
    return model


def saved(tmp_path, value, **how):
    path = tmp_path / "made.pt"
    torch.save(value, path, **how)
    form, _ = registry.detect(FileProbe(str(path)))
    assert form is (LEGACY if how.get("_use_new_zipfile_serialization") is False else ZIP)
    return opened(path, form)


def rewritten(tmp_path, model: Model, **options):
    out = ZIP.layout(model, Options(name="out.pt", **options))
    assert out == ZIP.layout(model, Options(name="out.pt", **options))
    write(out, model, tmp_path / "out")
    return torch.load(tmp_path / "out" / "out.pt", weights_only=True, mmap=True)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("kind", DTYPES)
def test_every_dtype_both_ways(tmp_path, kind, legacy):
    how = {"_use_new_zipfile_serialization": not legacy}
    state = {"a": random(kind, 3, 5), "scalar": random(kind), "empty": random(kind, 0, 4)}
    model = saved(tmp_path, state, **how)
    for name, tensor in state.items():
        assert tensor_bytes(model, name) == raw(tensor)
        assert model.tensors[name].shape == tuple(tensor.shape)
    back = rewritten(tmp_path, model)
    for name, tensor in state.items():
        assert back[name].dtype == tensor.dtype
        assert back[name].shape == tensor.shape
        assert raw(back[name]) == raw(tensor)


def test_packed_pairs_of_four_bits(tmp_path):
    state = {"q": torch.randint(0, 255, (4, 6), dtype=torch.uint8).view(torch.float4_e2m1fn_x2)}
    model = saved(tmp_path, state)
    assert (model.tensors["q"].dtype.name, model.tensors["q"].shape) == ("f4_e2m1", (4, 12))
    back = rewritten(tmp_path, model)
    assert back["q"].dtype == torch.float4_e2m1fn_x2
    assert raw(back["q"]) == raw(state["q"])


@pytest.mark.parametrize("new", [True, False])
def test_views_strides_and_offsets(tmp_path, new):
    base = torch.arange(60.0).reshape(6, 10)
    state = {
        "whole": base, "turned": base.t(), "row": base[3], "column": base[:, 2], "step": base[::2, 1::3],
        "spread": torch.ones(1).expand(4, 3), "corner": base[5, 9], "narrow": base[4:, 5:], "one": base[2:3, :4],
    }  # fmt: skip
    model = saved(tmp_path, state, _use_new_zipfile_serialization=new)
    for name, tensor in state.items():
        assert tensor_bytes(model, name) == raw(tensor), name
    assert model.tensors["turned"].data.strides == (1, 10)
    assert model.tensors["one"].data.strides is None
    assert model.tensors["row"].data.extents[0].length == 40
    back = rewritten(tmp_path, model)
    assert all(torch.equal(back[n], t) for n, t in state.items())


def test_ties_are_kept(tmp_path):
    tied = torch.randn(4, 4)
    model = saved(tmp_path, {"embed": tied, "other": torch.randn(2), "head": tied, "flat": tied.view(16)})
    assert ties(model.tensors) == [("embed", "head", "flat")]
    back = rewritten(tmp_path, model)
    assert back["embed"].data_ptr() == back["head"].data_ptr() == back["flat"].data_ptr()
    assert ZIP.layout(model, Options()).files[0].slots[0].length == 64
    assert len(ZIP.layout(model, Options()).files[0].slots) == 2


def test_a_nested_training_checkpoint_keeps_its_structure(tmp_path):
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.01)
    net(torch.randn(5, 3)).sum().backward()
    optimizer.step()
    checkpoint = {
        "epoch": 7, "loss": 0.25, "model_state_dict": net.state_dict(), "optimizer_state_dict": optimizer.state_dict(),
        "note": "é\n" * 300, "flags": (True, None, 2**80, -3, 70000, 1 + 2j, b"\x00\xff"), "tags": {"a"},
        "counts": collections.Counter("aab"), "types": [torch.float16, torch.Size([1, 2]), torch.device("cpu")],
        3: [1.5, [], {}, ()], (1, "x"): "tuple key",
    }  # fmt: skip
    model = saved(tmp_path, checkpoint)
    assert "model_state_dict.0.weight" in model.tensors
    assert "optimizer_state_dict.state.0.exp_avg" in model.tensors
    assert model.tree.get("epoch") == 7
    assert not [loss for loss in ZIP.losses(model) if loss.stops]
    back = rewritten(tmp_path, model)
    assert list(back) == list(checkpoint)
    for key in ("epoch", "loss", "note", "flags", "tags", "counts", "types", 3, (1, "x")):
        assert back[key] == checkpoint[key]
        assert type(back[key]) is type(checkpoint[key])
    assert isinstance(back["model_state_dict"], collections.OrderedDict)
    assert back["model_state_dict"]._metadata == net.state_dict()._metadata
    net.load_state_dict(back["model_state_dict"])
    optimizer.load_state_dict(back["optimizer_state_dict"])
    again = saved(tmp_path, back)
    assert list(again.tensors) == list(model.tensors)


def test_parameters_and_gradients(tmp_path):
    state = {
        "p": torch.nn.Parameter(torch.randn(3)),
        "frozen": torch.nn.Parameter(torch.ones(2), requires_grad=False),
        "leaf": torch.randn(2, requires_grad=True),
        "plain": torch.ones(1),
    }
    model = saved(tmp_path, state)
    assert model.tensors["p"].extra == {"torch:parameter": True, "torch:requires_grad": True}
    assert model.tensors["leaf"].extra == {"torch:requires_grad": True}
    assert not model.tensors["plain"].extra
    back = rewritten(tmp_path, model)
    assert all(type(back[n]) is type(t) and back[n].requires_grad == t.requires_grad for n, t in state.items())


def test_lazy_conjugates_are_marked_and_kept(tmp_path):
    value = torch.randn(3, dtype=torch.complex64).conj()
    model = saved(tmp_path, {"c": value})
    assert model.tensors["c"].extra == {"torch:conj": True}
    assert [n.code for n in model.notes] == ["conjugated"]
    assert torch.equal(rewritten(tmp_path, model)["c"], value)


def test_sparse_and_nested_tensors_are_their_parts(tmp_path):
    dense = torch.eye(3) * torch.tensor([1.0, 2.0, 3.0])
    model = saved(tmp_path, {"coo": dense.to_sparse(), "csr": dense.to_sparse_csr(), "csc": dense.to_sparse_csc()})
    assert list(model.tensors) == [
        "coo.indices", "coo.values", "csr.crow_indices", "csr.col_indices", "csr.values", "csc.ccol_indices",
        "csc.row_indices", "csc.values"]  # fmt: skip
    assert tensor_bytes(model, "coo.values") == struct.pack("<3f", 1, 2, 3)
    coo = model.tree.get("coo")
    assert isinstance(coo, Inert)
    assert coo.attributes().get("shape").items == [3, 3]


def test_quantized_tensors_are_integers_with_a_quantizer(tmp_path):
    values = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    one = torch.quantize_per_tensor(values, 0.5, 3, torch.quint8)
    rows = torch.quantize_per_channel(values, torch.tensor([0.5, 0.25]).double(), torch.tensor([0, 1]), 0, torch.qint8)
    model = saved(tmp_path, {"one": one, "rows": rows})
    assert model.tensors["one"].dtype.name == "u8"
    quantizer = model.tensors["one"].extra["torch:quantizer"]
    assert quantizer == {"scheme": "per_tensor_affine", "scale": 0.5, "zero_point": 3}
    assert tensor_bytes(model, "one") == raw(one.int_repr())
    assert tensor_bytes(model, "rows") == raw(rows.int_repr())
    assert {"rows.scales", "rows.zero_points"} <= set(model.tensors)
    assert "quantized" in [n.code for n in model.notes]
    assert "quantizer" in [loss.kind for loss in ZIP.losses(model)]


def test_meta_tensors_have_no_data(tmp_path):
    model = saved(tmp_path, {"m": torch.zeros(3, 2, device="meta")})
    assert isinstance(model.tensors["m"].data, Missing)
    assert model.tensors["m"].shape == (3, 2)


def test_storages_and_bare_tensors(tmp_path):
    model = saved(tmp_path, {"typed": torch.arange(3.0).storage(), "untyped": torch.arange(3).untyped_storage()})
    assert [(t.dtype.name, t.shape) for t in model.tensors.values()] == [("f32", (3,)), ("u8", (24,))]
    alone = saved(tmp_path, torch.arange(4))
    assert list(alone.tensors) == ["tensor"]
    assert alone.tree == TensorRef("tensor")
    assert torch.equal(rewritten(tmp_path, alone), torch.arange(4))


def test_the_same_container_twice_gives_both_names(tmp_path):
    weights = {"w": torch.randn(2)}
    model = saved(tmp_path, {"model": weights, "ema": weights, "list": [weights["w"]]})
    assert list(model.tensors) == ["model.w", "ema.w", "list.0"]
    assert len(ties(model.tensors)[0]) == 3


def test_keys_with_the_same_text_get_a_number(tmp_path):
    model = saved(tmp_path, {"1": torch.zeros(1), 1: torch.ones(1)})
    assert list(model.tensors) == ["1", "1#2"]
    assert "same-name" in [n.code for n in model.notes]


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.body = torch.nn.ModuleList([torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2)])
        self.shared = self.body[0]
        self.rnn = torch.nn.LSTM(2, 2)
        self.register_buffer("kept", torch.ones(2))
        self.register_buffer("passing", torch.ones(3), persistent=False)
        self.alone = torch.nn.Parameter(torch.zeros(1))


@pytest.mark.parametrize("new", [True, False])
def test_whole_modules_are_named_as_in_their_state_dict(tmp_path, new):
    net = Net()
    model = saved(tmp_path, net, _use_new_zipfile_serialization=new)
    expected = net.state_dict()
    assert list(model.tensors) == list(expected)
    assert all(tensor_bytes(model, n) == raw(t) for n, t in expected.items())
    assert model.dialect == "whole-module"
    assert isinstance(model.tree, Inert)
    assert "whole-module" in [n.code for n in model.notes]
    assert list(rewritten(tmp_path, model)) == list(expected)
    assert "python-object" in [loss.kind for loss in ZIP.losses(model)]
    inside = saved(tmp_path, {"epoch": 1, "net": net})
    assert list(inside.tensors) == [f"net.{n}" for n in expected]


def test_numpy_values_inside_torch_files(tmp_path):
    np = pytest.importorskip("numpy")
    array = np.arange(3000, dtype=">i4").reshape(30, 100)
    model = saved(tmp_path, {"a": array, "f": np.asfortranarray(array), "s": np.float64(0.5)}, pickle_protocol=4)
    assert model.tree.get("s") == 0.5
    assert isinstance(model.tensors["a"].data, Stored)
    for name in "af":
        assert tensor_bytes(model, name) == array.astype("<i4").tobytes()


@pytest.mark.parametrize("protocol", [1, 2, 3, 4, 5])  # PyTorch itself cannot load protocol 0
def test_every_pickle_protocol(tmp_path, protocol):
    state = {"w": torch.arange(6.0).reshape(2, 3), "n": {"x": [1, 2.5, "text", None, True]}}
    path = tmp_path / "made.pt"
    torch.save(state, path, pickle_protocol=protocol)
    model = opened(path)
    assert tensor_bytes(model, "w") == raw(state["w"])
    assert model.tree.get("n").get("x").items == [1, 2.5, "text", None, True]


def test_shards_with_an_index(tmp_path):
    state = {f"layer.{i}": torch.randn(10, 10) for i in range(6)}
    model = saved(tmp_path, state)
    made = write(ZIP.layout(model, Options(max_shard_size=900)), model, tmp_path / "hf")
    assert sorted(made) == [*(f"pytorch_model-{i:05}-of-00003.bin" for i in (1, 2, 3)), "pytorch_model.bin.index.json"]
    form, match = registry.detect(FileProbe(str(tmp_path / "hf")))
    assert (form, match.dialect) == (ZIP, "sharded")
    for target in (tmp_path / "hf", tmp_path / "hf" / "pytorch_model.bin.index.json"):
        again = opened(target)
        assert list(again.tensors) == list(state)
        assert all(tensor_bytes(again, n) == raw(t) for n, t in state.items())
    first = torch.load(tmp_path / "hf" / "pytorch_model-00001-of-00003.bin", weights_only=True)
    assert isinstance(first, collections.OrderedDict)


def test_a_folder_with_one_legacy_file(tmp_path):
    torch.save({"w": torch.ones(2)}, tmp_path / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    model = opened(tmp_path)
    assert (model.format, list(model.tensors)) == ("torch-legacy", ["w"])


def test_torchscript(tmp_path):
    class Scripted(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = torch.nn.Linear(2, 3)
            self.register_buffer("scale", torch.ones(3))

        def forward(self, x):
            return self.lin(x) * self.scale + torch.tensor([1.0, 2.0, 3.0])

    net = Scripted().eval()
    for name, made in (("s.pt", torch.jit.script(net)), ("t.pt", torch.jit.trace(net, torch.zeros(1, 2)))):
        torch.jit.save(made, tmp_path / name, _extra_files={"labels.txt": "a b"})
        form, match = registry.detect(FileProbe(str(tmp_path / name)))
        assert (form, match.score) == (SCRIPT, 99)
        model = opened(tmp_path / name, SCRIPT)
        expected = made.state_dict()
        assert [n for n in model.tensors if not n.startswith("constants.")] == list(expected)
        assert all(tensor_bytes(model, n) == raw(t) for n, t in expected.items())
        assert any(s.name.startswith("code/") and s.name.endswith(".py") for s in model.sides)
        assert "extra/labels.txt" in [s.name for s in model.sides]
        if name == "t.pt":
            assert tensor_bytes(model, "constants.0") == struct.pack("<3f", 1, 2, 3)


def test_the_tar_form(tmp_path):
    """Made by hand as PyTorch 0.1.9 wrote it; PyTorch 2 still reads it and agrees."""
    import pickle

    storages, tensors = io.BytesIO(), io.BytesIO()
    pickle.dump(2, storages, 2)
    for key, kind, data in (
        (11, torch.FloatStorage, struct.pack("<6f", *range(6))),
        (12, torch.LongStorage, struct.pack("<2q", 7, 8)),
    ):
        pickle.dump((key, "cpu", kind), storages, 2)
        storages.write(struct.pack("<q", len(data) // (4 if key == 11 else 8)) + data)
    pickle.dump([(13, 11, 2, 3)], storages, 2)
    pickle.dump(3, tensors, 2)
    for key, storage, kind, size, stride, offset in (
        (21, 11, torch.FloatTensor, (2, 3), (3, 1), 0),
        (22, 12, torch.LongTensor, (2,), (1,), 0),
        (23, 13, torch.FloatTensor, (2,), (1,), 1),
    ):
        pickle.dump((key, storage, kind), tensors, 2)
        axes = len(size)
        tensors.write(struct.pack("<i4x", axes) + struct.pack(f"<{2 * axes + 1}q", *size, *stride, offset))
    body = io.BytesIO()

    class Ids(pickle.Pickler):
        def persistent_id(self, obj):
            return obj[1] if isinstance(obj, tuple) and obj[:1] == ("tensor",) else None

    Ids(body, 2).dump({"a": ("tensor", 21), "b": ("tensor", 22), "view": ("tensor", 23)})
    path = tmp_path / "old.pth"
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in (
            ("sys_info", pickle.dumps({}, 2)),
            ("pickle", body.getvalue()),
            ("tensors", tensors.getvalue()),
            ("storages", storages.getvalue()),
        ):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    form, match = registry.detect(FileProbe(str(path)))
    assert (form, match.dialect) == (LEGACY, "tar")
    model = opened(path, LEGACY)
    expected = torch.load(path, weights_only=False)
    assert list(model.tensors) == list(expected)
    assert all(tensor_bytes(model, n) == raw(t) for n, t in expected.items())
    assert isinstance(model.tree, Node)
