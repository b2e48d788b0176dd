"""GGUF: what is read from files made by hand, and what is written."""

import math
import pickle
import struct

import pytest

from modelglot.containers.ggml_types import BLOCK_TYPES, PLAIN_TYPES
from modelglot.core.dtype import dtype
from modelglot.core.encoding import BLOCKS, Opaque
from modelglot.core.errors import InvalidFileError, UnsupportedError
from modelglot.core.layout import Options
from modelglot.core.limits import Limits
from modelglot.core.metadata import Entry, Metadata
from modelglot.core.model import Model
from modelglot.core.tensor import Inline, Missing, Tensor
from modelglot.formats.gguf import FORMAT
from modelglot.formats.gguf.arrays import StoredArray
from modelglot.sources.file import FileProbe, LocalFiles
from modelglot.testing.by_hand import tensor_bytes, write
from modelglot.testing.tiny_gguf import ARRAY, STR, Build, Info

ENTRIES = [
    ("general.architecture", STR, "llama", "str"), ("a.u8", 0, 255, "u8"), ("a.i8", 1, -1, "i8"),
    ("a.u16", 2, 65535, "u16"), ("a.i16", 3, -2, "i16"), ("a.u32", 4, 7, "u32"), ("a.i32", 5, -3, "i32"),
    ("a.f32", 6, 0.5, "f32"), ("a.bool", 7, True, "bool"), ("a.u64", 10, 1 << 63, "u64"), ("a.i64", 11, -5, "i64"),
    ("a.f64", 12, 0.1, "f64"), ("a.empty", STR, "", "str"),
]  # fmt: skip
ARRAYS = [
    ("l.str", (STR, ["a", "", "héllo", "日本"]), "array[str]"), ("l.i32", (5, [1, -2, 3]), "array[i32]"),
    ("l.f32", (6, [0.5, math.inf]), "array[f32]"), ("l.bool", (7, [True, False]), "array[bool]"),
    ("l.none", (4, []), "array[u32]"), ("l.u64", (10, [1 << 63]), "array[u64]"),
]  # fmt: skip
TINY = Info("w", (4, 2)), struct.pack("<8f", *range(8))


def read(path):
    return FORMAT.read(LocalFiles(str(path)), Limits())


def made(tmp_path, raw, name="a.gguf"):
    (tmp_path / name).write_bytes(raw)
    return read(tmp_path / name)


def model(tensors=(), metadata=None):
    return Model("x", (), {t.name: t for t in tensors}, metadata=Metadata(metadata or {}))


def inline(name, kind, shape, data):
    return Tensor(name, dtype(kind), shape, Inline(data))


def kinds(of):
    return sorted({loss.kind for loss in FORMAT.losses(of)})


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("version", [1, 2, 3])
def test_every_version_and_byte_order(tmp_path, version, order):
    build = Build(version, order)
    entries = [build.entry(k, n, v) for k, n, v, _ in ENTRIES] + [build.entry(k, ARRAY, v) for k, v, _ in ARRAYS]
    data = struct.pack(order + "8f", *range(8))
    got = made(tmp_path, build.file(entries, [Info("w", (4, 2))], data))
    assert {k: (e.type, e.value) for k, e in got.metadata.entries() if not k.startswith("l.")} == {
        k: (t, v) for k, _, v, t in ENTRIES
    }
    assert {k: (e.type, list(e.value)) for k, e in got.metadata.entries() if k.startswith("l.")} == {
        k: (t, v[1]) for k, v, t in ARRAYS
    }
    assert got.tensors["w"].shape == (2, 4)
    assert tensor_bytes(got, "w") == TINY[1]
    assert got.dialect == f"v{version}" + (" big-endian" if order == ">" else "")
    assert got == read(tmp_path / "a.gguf")
    again = write(FORMAT.layout(got, Options(name="b.gguf")), got, tmp_path / "out")["b.gguf"]
    expected = Build()
    exact = [expected.entry(k, n, v) for k, n, v, _ in ENTRIES] + [expected.entry(k, ARRAY, v) for k, v, _ in ARRAYS]
    assert again.read_bytes() == expected.file(exact, [TINY[0]], TINY[1])


def test_golden_bytes(tmp_path):
    """The whole of a small file, as a person would annotate it."""
    golden = bytes.fromhex(
        "47475546 03000000 0100000000000000 0100000000000000"  # GGUF, version 3, 1 tensor, 1 key
        "0100000000000000 6b 04000000 2a000000"  # key "k", u32, 42
        "0100000000000000 77 01000000 0200000000000000 00000000 0000000000000000"  # "w", 1 axis of 2, f32, at 0
        + "00" * (96 - 74)  # padding to 32
        + "0000803f 00000040"
        + "00" * 24  # 1.0, 2.0, padding
    )
    tensor = inline("w", "f32", (2,), struct.pack("<2f", 1, 2))
    out = write(FORMAT.layout(model([tensor], {"k": Entry(42, "u32")}), Options()), model([tensor]), tmp_path)
    assert out["model.gguf"].read_bytes() == golden
    assert tensor_bytes(read(tmp_path / "model.gguf"), "w") == struct.pack("<2f", 1, 2)


def test_sniff(tmp_path):
    raw = Build().file([], [TINY[0]], TINY[1])
    (tmp_path / "named.bin").write_bytes(raw)
    assert FORMAT.sniff(FileProbe(str(tmp_path / "named.bin"))).score == 100
    (tmp_path / "big.gguf").write_bytes(Build(order=">").file())
    assert FORMAT.sniff(FileProbe(str(tmp_path / "big.gguf"))).dialect == "big-endian"
    assert FORMAT.sniff(FileProbe(str(tmp_path))).score > 60
    (tmp_path / "other.gguf").write_bytes(b"version https://git-lfs")
    assert FORMAT.sniff(FileProbe(str(tmp_path / "other.gguf"))) is None


@pytest.mark.parametrize(("number", "name"), [*PLAIN_TYPES.items(), *BLOCK_TYPES.items()])
def test_every_type_is_read_and_written_again(tmp_path, number, name):
    block = BLOCKS.get(name)
    columns = block.elements * 2 if block else 6
    size = block.bytes * 6 if block else 18 * dtype(name).itemsize
    data = bytes(i % 251 for i in range(size))
    raw = Build().file([], [Info("w", (columns, 3), number)], data + bytes(-size % 32))
    got = made(tmp_path, raw)
    assert (got.tensors["w"].type_name, got.tensors["w"].shape, got.tensors["w"].nbytes) == (name, (3, columns), size)
    assert not got.notes
    assert tensor_bytes(got, "w") == data
    assert write(FORMAT.layout(got, Options(name="b.gguf")), got, tmp_path)["b.gguf"].read_bytes() == raw
    assert name in FORMAT.info.dtypes


def test_unknown_types_are_carried(tmp_path):
    infos = [Info("a", (7, 3), 999), Info("b", (2,), 0, 64), Info("c", (5,), 1000, 96)]
    raw = Build().file([], infos, bytes(range(64)) + struct.pack("<2f", 1, 2) + bytes(24) + bytes(range(32)))
    got = made(tmp_path, raw)
    assert got.tensors["a"].encoding == Opaque("ggml-type-999", 64)
    assert got.tensors["c"].encoding == Opaque("ggml-type-1000", 32)
    assert [n.code for n in got.notes] == ["unknown-type", "unknown-type"]
    assert write(FORMAT.layout(got, Options(name="b.gguf")), got, tmp_path)["b.gguf"].read_bytes() == raw


def test_q8_1_of_either_width(tmp_path):
    """ggml stores 36 bytes a block, the `gguf` package 40; the offsets in the file tell which."""
    for width in (36, 40):
        infos = [Info("a", (64, 5), 9), Info("b", (1,), 0, -(-width * 10 // 32) * 32)]
        got = made(tmp_path, Build().file([], infos, bytes(-(-width * 10 // 32) * 32) + bytes(4)))
        assert got.tensors["a"].encoding.bytes == width


def test_big_endian_blocks(tmp_path):
    """One q4_0 block: the scale turns around, the nibbles do not."""
    data = b"\x3c\x00" + bytes(range(16))
    got = made(tmp_path, Build(order=">").file([], [Info("w", (32,), 2)], data))
    assert tensor_bytes(got, "w") == b"\x00\x3c" + bytes(range(16))
    got = made(tmp_path, Build(order=">").file([], [Info("w", (256,), 16)], bytes(66)))
    assert [n.code for n in got.notes] == ["big-endian", "big-endian-blocks"]


def test_text_that_is_not_utf8_survives(tmp_path):
    entries = [Build().entry(b"k\xff", STR, b"\xc3\x28\x80"), Build().entry("l", ARRAY, (STR, [b"\xfe", b"ok"]))]
    raw = Build().file(entries, [Info(b"t\xff", (1,))], bytes(32))
    got = made(tmp_path, raw)
    assert write(FORMAT.layout(got, Options(name="b.gguf")), got, tmp_path)["b.gguf"].read_bytes() == raw
    assert got.metadata["l"][1] == "ok"


def test_nested_arrays(tmp_path):
    nested = (ARRAY, [(ARRAY, [(STR, ["a", "bc"]), (4, [1])]), (5, [])])
    raw = Build(order="<").file([Build().entry("n", ARRAY, nested)])
    got = made(tmp_path, raw)
    value = got.metadata["n"]
    assert [list(value[0][0]), list(value[0][1]), list(value[1])] == [["a", "bc"], [1], []]
    assert write(FORMAT.layout(got, Options(name="b.gguf")), got, tmp_path)["b.gguf"].read_bytes() == raw
    big = made(tmp_path, Build(order=">").file([Build(order=">").entry("n", ARRAY, nested)]))
    assert write(FORMAT.layout(big, Options(name="c.gguf")), big, tmp_path)["c.gguf"].read_bytes() == raw


def test_arrays_larger_than_the_windows(tmp_path):
    """Strings that cross the windows the header is read through, one of them larger than a window."""
    words = [f"token{i}" * (i % 40) for i in range(40_000)] + ["x" * 3_000_000, "end"]
    numbers = list(range(700_000))
    raw = Build().file(
        [Build().entry("w", ARRAY, (STR, words)), Build().entry("n", ARRAY, (5, numbers)), Build().entry("after", 4, 9)]
    )
    got = made(tmp_path, raw)
    assert got.metadata["after"] == 9
    assert list(got.metadata["w"]) == words
    assert got.metadata["w"][-1] == "end"
    assert got.metadata["w"][100:103] == words[100:103]
    assert got.metadata["n"] == numbers
    with pytest.raises(IndexError):
        got.metadata["w"][len(words)]


def test_arrays_compare_and_pickle():
    array = StoredArray(5, 3, struct.pack("<3i", 1, 2, 3))
    assert array == [1, 2, 3]
    assert array == StoredArray(5, 3, struct.pack(">3i", 1, 2, 3), ">")
    assert array != [1, 2]
    assert array != "123"
    assert array[-1] == 3
    assert pickle.loads(pickle.dumps(array)) == array
    assert repr(array) == "StoredArray(3 x i32)"


def test_alignment_is_kept_and_can_be_chosen(tmp_path):
    entry = Build().entry("general.alignment", 4, 64)
    raw = Build().file([entry], [Info("a", (1,)), Info("b", (1,), 0, 64)], bytes(128), alignment=64)
    got = made(tmp_path, raw)
    assert write(FORMAT.layout(got, Options(name="b.gguf")), got, tmp_path)["b.gguf"].read_bytes() == raw
    chosen = FORMAT.layout(got, Options(settings={"gguf:alignment": "256"})).files[0]
    assert [s.offset % 256 for s in chosen.slots] == [0, 0]
    with pytest.raises(InvalidFileError, match="not an alignment"):
        FORMAT.layout(got, Options(settings={"gguf:alignment": "24"}))


def test_truncated_data_can_be_inspected(tmp_path):
    infos = [Info("a", (8,)), Info("b", (8,), 0, 32)]
    raw = Build().file([], infos, bytes(64))
    got = made(tmp_path, raw[:-20])
    assert isinstance(got.tensors["b"].data, Missing)
    assert "ends 20 bytes after the end" in got.tensors["b"].data.why
    assert not isinstance(got.tensors["a"].data, Missing)
    assert [(n.code, n.level) for n in got.notes] == [("truncated", "warning")]
    assert "1 of 2 tensors" in got.notes[0].text


def test_gap_trailing_and_long_names_are_noted(tmp_path):
    raw = Build().file([], [Info("n" * 70, (8,)), Info("b", (8,), 0, 96)], bytes(200))
    assert sorted(n.code for n in made(tmp_path, raw).notes) == ["gap", "long-name", "trailing-bytes"]


def test_a_tensor_without_axes(tmp_path):
    got = made(tmp_path, Build().file([], [Info("s", ())], struct.pack("<f", 2) + bytes(28)))
    assert got.tensors["s"].shape == ()
    assert kinds(got) == ["no-architecture", "shape"]
    assert not any(loss.stops for loss in FORMAT.losses(got))
    out = write(FORMAT.layout(got, Options(name="b.gguf")), got, tmp_path)["b.gguf"]
    assert read(out).tensors["s"].shape == (1,)


def three(tmp_path):
    tensors = [inline(n, "f32", (8,), bytes([i]) * 32) for i, n in enumerate("abcde")]
    keys = {"general.architecture": "llama", "k": Entry(1, "u8"), "split.no": Entry(4, "u16")}
    whole = model(tensors, keys)
    return whole, write(FORMAT.layout(whole, Options(max_shard_size=64, name="m.gguf")), whole, tmp_path / "set")


def test_split_and_merge(tmp_path):
    whole, files = three(tmp_path)
    assert list(files) == [f"m-0000{i}-of-00003.gguf" for i in (1, 2, 3)]
    for given in [*files.values(), tmp_path / "set"]:
        got = read(given)
        assert sorted(got.tensors) == list("abcde")
        assert list(got.metadata) == ["general.architecture", "k"]
        assert all(tensor_bytes(got, n) == whole.tensors[n].data.data for n in "abcde")
        assert len(got.files) == 3
    alone = write(FORMAT.layout(got, Options(name="one.gguf")), got, tmp_path)["one.gguf"]
    assert "split.no" not in read(alone).metadata


def test_split_keys_have_the_types_of_gguf_split(tmp_path):
    _, files = three(tmp_path)
    lonely = tmp_path / "lonely.gguf"
    lonely.write_bytes(files["m-00002-of-00003.gguf"].read_bytes())
    got = read(lonely)
    assert [(k, e.type, e.value) for k, e in got.metadata.entries()] == [
        ("split.no", "u16", 1),
        ("split.count", "u16", 3),
        ("split.tensors.count", "i32", 5),
    ]
    assert [n.code for n in got.notes] == ["split-alone"]


def test_missing_file_of_a_set(tmp_path):
    _, files = three(tmp_path)
    files["m-00001-of-00003.gguf"].unlink()
    got = read(files["m-00002-of-00003.gguf"])
    assert sorted(got.tensors) == list("cde")
    (note,) = got.notes
    assert (note.code, note.level) == ("missing-shard", "warning")
    assert "number 00001" in note.text
    assert "2 of 5 tensors" in note.text


def test_a_set_that_disagrees(tmp_path):
    _, files = three(tmp_path)
    one, two, _ = files.values()
    kept = two.read_bytes()
    two.write_bytes(one.read_bytes())
    with pytest.raises(InvalidFileError, match="the name says file 2 of 3, the metadata file 1 of 3"):
        read(one)
    two.write_bytes(kept)
    total = b"split.tensors.count\x05\x00\x00\x00"
    one.write_bytes(one.read_bytes().replace(total + b"\x05", total + b"\x06"))
    with pytest.raises(InvalidFileError, match="is 6, but the 3 files have 5"):
        read(one)


def test_folder_of_two_models(tmp_path):
    for name in ("a.gguf", "b.gguf"):
        made(tmp_path, Build().file(), name)
    with pytest.raises(InvalidFileError, match="holds 2 GGUF models"):
        read(tmp_path)
    (tmp_path / "b.gguf").rename(tmp_path / "mmproj-b.gguf")
    assert read(tmp_path).files[0].name == "a.gguf"


def test_metadata_of_other_formats(tmp_path):
    entries = {
        "text": "x", "small": Entry(7, "int"), "negative": Entry(-7, "int"), "large": Entry(1 << 40, "int"),
        "flag": Entry(True, "bool"), "half": Entry(0.5, "float"), "tenth": Entry(0.1, "float"),
        "words": Entry(["a", "b"], "list"), "ints": Entry([1, 2], "json"), "mixed": Entry([1, 2.5], "json"),
        "none": Entry([], "json"), "rows": Entry([[1], ["a"]], "json"),
    }  # fmt: skip
    whole = model([], entries)
    assert kinds(whole) == ["no-architecture"]
    out = write(FORMAT.layout(whole, Options()), whole, tmp_path)["model.gguf"]
    assert {k: e.type for k, e in read(out).metadata.entries()} == {
        "text": "str", "small": "u32", "negative": "i32", "large": "u64", "flag": "bool", "half": "f32", "tenth": "f64",
        "words": "array[str]", "ints": "array[i32]", "mixed": "array[f32]", "none": "array[i32]",
        "rows": "array[array]",
    }  # fmt: skip
    assert [list(v) for v in read(out).metadata["rows"]] == [[1], ["a"]]


@pytest.mark.parametrize("entry", [
    Entry(None, "json"), Entry({"a": 1}, "json"), Entry([1, "a"], "json"), Entry([None], "json"), Entry(1 << 64, "int"),
    Entry("\ud800", "str"), Entry(300, "u8"), Entry([[[[[1]]]]], "json"), Entry([1, 300], "array[u8]"),
], ids=repr)  # fmt: skip
def test_metadata_that_cannot_be_held_is_a_loss(entry):
    whole = model([], {"general.architecture": "x", "k": entry})
    assert kinds(whole) == ["metadata"]
    assert b"\x01\0\0\0\0\0\0\0k" not in FORMAT.layout(whole, Options()).files[0].pieces[0].data


def test_tensors_that_cannot_be_held_are_losses():
    good = inline("w", "f32", (1,), bytes(4))
    bad = [
        inline("a", "u8", (1,), b"1"), inline("b", "bool", (1,), b"1"), inline("c", "c64", (1,), bytes(8)),
        inline("d", "f8_e4m3", (1,), b"1"), inline("e", "f32", (1, 1, 1, 1, 1), bytes(4)),
        inline("n" * 200, "f32", (1,), bytes(4)),
        Tensor("o", dtype("opaque"), (3,), Inline(b"abc"), Opaque("npy-object", 3)),
    ]  # fmt: skip
    whole = model([good, *bad], {"general.architecture": "x"})
    assert [loss.kind for loss in FORMAT.losses(whole)] == ["shape", "name"] + ["dtype"] * 5
    assert [s.tensor for s in FORMAT.layout(whole, Options()).files[0].slots] == ["w"]


def test_version_four_is_not_guessed_at(tmp_path):
    with pytest.raises(UnsupportedError, match="version 4"):
        made(tmp_path, Build(version=4).file())
