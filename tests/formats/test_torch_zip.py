"""PyTorch's zip format without PyTorch: conformance, and files put together by hand."""

import io
import zipfile

import pytest

from modelglot.containers.pickle.emitter import Emitter
from modelglot.core.dtype import dtype
from modelglot.core.errors import DamagedFileError, InvalidFileError, LossError
from modelglot.core.layout import Options
from modelglot.core.limits import Limits
from modelglot.core.metadata import Metadata
from modelglot.core.model import Model
from modelglot.core.tensor import Inline, Tensor
from modelglot.core.tree import Inert, Node, TensorRef
from modelglot.formats import registry
from modelglot.formats.torch_zip import FORMAT
from modelglot.sources.file import FileProbe, LocalFiles
from modelglot.testing.by_hand import tensor_bytes, write
from modelglot.testing.conformance import FormatConformance

REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\n%b\nX\x01\0\0\0%bX%b%bK%ctQK%c(%bt(%bt%bNtR"


class TestConformance(FormatConformance):
    format = "torch-zip"


def rebuild(kind=b"FloatStorage", key=b"0", device=b"cpu", count=4, offset=0, shape=(4,), strides=(1,), grad=b"\x89"):
    numbers = [b"".join(b"K%c" % n for n in values) for values in (shape, strides)]
    length = len(device).to_bytes(4, "little")
    return REBUILD % (kind, key, length, device, count, offset, *numbers, grad)


def state(**tensors):
    """A pickled dict of tensors."""
    body = b"".join(b"X%b%b%b" % (len(n).to_bytes(4, "little"), n.encode(), t) for n, t in tensors.items())
    return b"\x80\x02}(" + body + b"u."


def archive(path, pickle, storages=None, *, method=zipfile.ZIP_STORED, root="archive", **more):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as made:
        made.writestr(f"{root}/data.pkl", pickle)
        for key, data in (storages if storages is not None else {"0": bytes(range(16))}).items():
            made.writestr(f"{root}/data/{key}", data)
        for name, data in more.items():
            made.writestr(f"{root}/{name}", data)
    path.write_bytes(out.getvalue())
    return path


def read(path):
    return FORMAT.read(LocalFiles(str(path)), Limits())


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_stored_and_deflated(tmp_path, method):
    pickle = state(w=rebuild(), row=rebuild(offset=1, shape=(2,)), turned=rebuild(shape=(2, 2), strides=(1, 2)))
    path = archive(tmp_path / "x", pickle, method=method)
    model = read(path)
    assert tensor_bytes(model, "w") == bytes(range(16))
    assert tensor_bytes(model, "row") == bytes(range(4, 12))
    assert model.tensors["turned"].data.strides == (1, 2)
    if method == zipfile.ZIP_DEFLATED:
        assert model.tensors["row"].data.skip == 4
        assert model.tensors["row"].data.extents[0].codec == "deflate"
    else:
        assert model.tensors["row"].data.extents[0].length == 8


def test_device_gradient_and_byte_order_are_marked(tmp_path):
    model = read(archive(tmp_path / "x", state(w=rebuild(device=b"cuda:7", grad=b"\x88")), byteorder="big"))
    assert model.tensors["w"].extra == {"torch:device": "cuda:7", "torch:requires_grad": True}
    assert model.tensors["w"].data.byteorder == "big"
    assert tensor_bytes(model, "w")[:4] == bytes([3, 2, 1, 0])


@pytest.mark.parametrize("root", ["archive", "a.b c", "x/y"])
def test_the_root_can_have_any_name(tmp_path, root):
    path = archive(tmp_path / "x.pth.tar", state(w=rebuild()), root=root)
    assert registry.detect(FileProbe(str(path)))[0] is FORMAT
    assert list(read(path).tensors) == ["w"]


def test_unknown_members_are_side_files_and_unused_storages_noted(tmp_path):
    model = read(archive(tmp_path / "x", state(w=rebuild()), {"0": bytes(16), "1": b"x"}, **{"notes.txt": "hi"}))
    assert [s.name for s in model.sides] == ["notes.txt"]
    assert "unused-storage" in [n.code for n in model.notes]


HOSTILE = {
    "storage too short": (state(w=rebuild()), {"0": bytes(12)}, InvalidFileError, "12 bytes, but 4 elements"),
    "storage too long": (state(w=rebuild()), {"0": bytes(20)}, InvalidFileError, "20 bytes, but 4 elements"),
    "no storage": (state(w=rebuild()), {}, DamagedFileError, "storage `0` is not in the file"),
    "outside": (state(w=rebuild(offset=1)), None, InvalidFileError, "needs bytes 4-20 of a storage of 16"),
    "strides": (state(w=rebuild(shape=(2, 2), strides=(9, 1))), None, InvalidFileError, "of a storage of 16"),
    "axes": (state(w=rebuild(shape=(2, 2))), None, InvalidFileError, "has 1 strides"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_tensors_that_leave_their_storage(tmp_path, case):
    pickle, storages, error, text = HOSTILE[case]
    with pytest.raises(error, match=text) as caught:
        read(archive(tmp_path / "x", pickle, storages))
    assert caught.value.path.endswith("x")
    assert case == "axes" or caught.value.tensor == "w"


def test_a_cut_off_file_is_known_and_named(tmp_path):
    path = archive(tmp_path / "x.bin", state(w=rebuild()))
    path.write_bytes(path.read_bytes()[:150])
    form, match = registry.detect(FileProbe(str(path)))
    assert (form, match.score >= 95) == (FORMAT, True)
    with pytest.raises(DamagedFileError, match="directory at the end is missing") as caught:
        read(path)
    assert caught.value.offset == 150
    assert "incomplete" in caught.value.hint


def test_other_zips_are_not_claimed(tmp_path):
    for name in ("arrays/x.npy", "model.json", "x/constants.pkl"):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as made:
            made.writestr(name, b"x")
        (tmp_path / "y").write_bytes(out.getvalue())
        assert FORMAT.sniff(FileProbe(str(tmp_path / "y"))) is None


def test_references_outside_the_known_list_stay_inert(tmp_path):
    path = archive(tmp_path / "x", state(w=rebuild(), args=b"cos\nsystem\n(X\x05\0\0\0touchtR"))
    model = read(path)
    assert list(model.tensors) == ["w"]
    inert = model.tree.get("args")
    assert (inert.global_, inert.role, inert.args) == ("os.system", "called", ("touch",))
    found = [f for f in FORMAT.hazards(LocalFiles(str(path)), Limits()) if f.rule == "pickle-global"]
    assert [(f.severity, f.member) for f in found] == [("unsafe", "archive/data.pkl")]
    assert path.read_bytes()[path.read_bytes().index(b"\x80\x02}") + found[0].offset :].startswith(b"cos\nsystem")
    assert [(loss.kind, loss.stops) for loss in FORMAT.losses(model)] == [("python-object", True)]


def tensor(name, kind="f32", shape=(2,), data=bytes(8), **extra):
    return Tensor(name, dtype(kind), shape, Inline(data), extra=extra)


def made(*tensors, tree=None, metadata=None):
    return Model("x", (), {t.name: t for t in tensors}, tree=tree, metadata=Metadata(metadata or {}))


def test_written_members_and_alignment(tmp_path):
    model = made(tensor("a"), tensor("b", "u16", (4,)))
    path = write(FORMAT.layout(model, Options(name="m.pt")), model, tmp_path)["m.pt"]
    with zipfile.ZipFile(path) as found:
        assert found.testzip() is None
        assert found.namelist() == [
            "archive/data.pkl", "archive/byteorder", "archive/data/0", "archive/data/1", "archive/version",
            "archive/.data/serialization_id"]  # fmt: skip
    again = read(path)
    assert isinstance(again.tree, Node)
    assert again.tree.kind == "ordereddict"
    assert all(t.data.extents[0].offset % 64 == 0 for t in again.tensors.values())


def test_a_tree_that_misses_a_tensor_is_written_flat(tmp_path):
    model = made(tensor("a"), tensor("b"), tree=Node("dict", [("x", TensorRef("a")), ("lost", TensorRef("c"))]))
    again = read(write(FORMAT.layout(model, Options(name="m.pt")), model, tmp_path)["m.pt"])
    assert list(again.tensors) == ["a", "b"]


def test_losses():
    tree = Node("dict", [("a", TensorRef("a")), ("o", Inert("some.Thing")), ("d", Node("deque", [1]))])
    kinds = {loss.kind: loss.stops for loss in FORMAT.losses(made(tensor("a"), tree=tree, metadata={"k": "v"}))}
    assert kinds == {"metadata": True, "python-object": True, "python-type": False}
    four = tensor("q", "i4", (2,), b"x")
    assert [loss.kind for loss in FORMAT.losses(made(four))] == ["encoding"]


def test_a_nested_tree_is_not_cut_in_shards():
    tree = Node("dict", [("epoch", 1), ("m", Node("dict", [("a", TensorRef("m.a")), ("b", TensorRef("m.b"))]))])
    with pytest.raises(LossError, match="shards"):
        FORMAT.layout(made(tensor("m.a"), tensor("m.b"), tree=tree), Options(max_shard_size=8))


def test_the_emitter_refuses_a_tuple_inside_itself():
    loop = Node("tuple", [])
    loop.items.append(loop)
    with pytest.raises(InvalidFileError, match="contains itself"):
        Emitter(lambda out, name: None).finish(loop)
