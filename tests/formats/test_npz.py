""".npz: archives of arrays, made by zipfile and by our own writer."""

import contextlib
import io
import struct
import zipfile

import pytest

from modelglot.core.dtype import dtype
from modelglot.core.errors import DamagedFileError, InvalidFileError, ModelFileError, UnsupportedError
from modelglot.core.layout import Options
from modelglot.core.limits import Limits
from modelglot.core.metadata import Metadata
from modelglot.core.model import Model
from modelglot.core.tensor import Inline, Tensor
from modelglot.formats.npz import FORMAT
from modelglot.sources.file import FileProbe, LocalFiles
from modelglot.testing.by_hand import tensor_bytes, write

TEXT = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n"
RECORD = b"\x93NUMPY\1\0" + len(TEXT).to_bytes(2, "little") + TEXT + struct.pack("<2f", 1, 2)


def archive(members, method=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as made:
        for name, data in members.items():
            made.writestr(name, data)
    return out.getvalue()


def made(tmp_path, raw):
    (tmp_path / "a.npz").write_bytes(raw)
    return FORMAT.read(LocalFiles(str(tmp_path / "a.npz")), Limits())


def model(*tensors, metadata=None):
    return Model("x", (), {t.name: t for t in tensors}, metadata=Metadata(metadata or {}))


TWO = struct.pack("<2f", 1, 2)


def inline(name, kind="f32", shape=(2,), data=TWO):
    return Tensor(name, dtype(kind), shape, Inline(data))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_read(tmp_path, method):
    got = made(tmp_path, archive({"w.npy": RECORD, "a/b.npy": RECORD, "notes.txt": b"hello"}, method))
    assert list(got.tensors) == ["w", "a/b"]
    assert tensor_bytes(got, "a/b") == struct.pack("<2f", 1, 2)
    assert [s.name for s in got.sides] == ["notes.txt"]
    assert got.tree is None


def test_member_that_is_no_array(tmp_path):
    got = made(tmp_path, archive({"w.npy": RECORD, "x.npy": b"not an array"}))
    assert [s.name for s in got.sides] == ["x.npy"]


def test_write_is_reproducible_and_aligned(tmp_path):
    whole = model(inline("w"), inline("layer/ñ"), inline("s", "i64", (), bytes(8)))
    one = FORMAT.layout(whole, Options())
    assert one == FORMAT.layout(whole, Options())
    out = write(one, whole, tmp_path)["model.npz"]
    with zipfile.ZipFile(out) as opened:
        assert opened.testzip() is None
        assert opened.namelist() == ["w.npy", "layer/ñ.npy", "s.npy"]
        assert all(i.compress_type == zipfile.ZIP_STORED for i in opened.infolist())
    assert all(slot.offset % 64 == 0 for slot in one.files[0].slots)
    got = FORMAT.read(LocalFiles(str(out)), Limits())
    assert {n: (t.dtype, t.shape, tensor_bytes(got, n)) for n, t in got.tensors.items()} == {
        n: (t.dtype, t.shape, t.data.data) for n, t in whole.tensors.items()
    }
    assert not got.notes


@pytest.mark.parametrize("name", ["../w", "/w", "a/../../w", "\\w", "C:w", "a\0b", "", "n" * 70_000, "\ud800"])
def test_names_that_are_no_members(name):
    whole = model(inline(name), inline("good"))
    assert [loss.kind for loss in FORMAT.losses(whole)] == ["name"]
    assert [s.tensor for s in FORMAT.layout(whole, Options()).files[0].slots] == ["good"]


def test_losses():
    bad = inline("b", "bf16", (1,), bytes(2)), inline("c", "f8_e4m3", (1,), b"1"), inline("d", "u4", (2,), b"1")
    whole = model(*bad, inline("w"), metadata={"format": "pt"})
    assert [loss.kind for loss in FORMAT.losses(whole)] == ["dtype"] * 3 + ["metadata"]
    assert [s.tensor for s in FORMAT.layout(whole, Options()).files[0].slots] == ["w"]


def test_sniff(tmp_path):
    for name, members, sure in (("a.npz", {"w.npy": RECORD}, True), ("a.bin", {"w.npy": RECORD}, True),
                                ("a.zip", {"x": b"", "w.npy": RECORD}, True), ("e.npz", {}, True),
                                ("a.zip", {"archive/data.pkl": b""}, False),
                                ("b.npz", {"archive/data.pkl": b""}, False)):  # fmt: skip
        (tmp_path / name).write_bytes(archive(members))
        found = FORMAT.sniff(FileProbe(str(tmp_path / name)))
        assert (found is not None and found.score >= 60) is sure, name
    assert FORMAT.sniff(FileProbe(str(tmp_path))) is None


def test_damaged(tmp_path):
    raw = archive({"w.npy": RECORD})
    for length in range(len(raw)):
        with pytest.raises(ModelFileError):
            made(tmp_path, raw[:length])
    cut = archive({"w.npy": RECORD[:-1]})
    with pytest.raises(DamagedFileError, match="ends 1 bytes after") as caught:
        made(tmp_path, cut)
    assert (caught.value.member, caught.value.tensor) == ("w.npy", "w")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_flipped_bits(tmp_path, method):
    raw = archive({"w.npy": RECORD, "v.npy": RECORD}, method)
    for at in range(len(raw)):
        changed = bytearray(raw)
        changed[at] ^= 1 << at % 8
        with contextlib.suppress(ModelFileError):
            made(tmp_path, bytes(changed))


def test_other_methods_and_folders(tmp_path):
    with pytest.raises(UnsupportedError):
        made(tmp_path, archive({"w.npy": RECORD}, zipfile.ZIP_LZMA))
    with pytest.raises(UnsupportedError, match="folder"):
        FORMAT.read(LocalFiles(str(tmp_path)), Limits())


def test_two_members_of_one_tensor(tmp_path):
    text = TEXT.replace(b"'<f4'", b"'|O' ").replace(b"(2,)", b"()  ")
    pickled = RECORD[:8] + len(text).to_bytes(2, "little") + text
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
    array += b"(I1\n(I1\ntcnumpy\ndtype\n(S'i1'\nI0\nI1\ntRI00\nS'x'\ntb"
    body = b"(dS'b'\n" + array + b"s."
    got = made(tmp_path, archive({"a.npy": pickled + body}))
    assert list(got.tensors) == ["a.b"]
    with pytest.raises(InvalidFileError, match="two members"):
        made(tmp_path, archive({"a.npy": pickled + body, "a.b.npy": RECORD}))
