"""GGUF against the `gguf` package: it reads what we write, we read what it writes."""

import numpy as np
import pytest

from modelglot.containers.ggml_types import PLAIN_TYPES, REMOVED_TYPES
from modelglot.core.encoding import BLOCKS
from modelglot.core.errors import UnsupportedError
from modelglot.core.layout import Options
from modelglot.core.limits import Limits
from modelglot.formats.gguf import FORMAT
from modelglot.formats.gguf.types import SCALARS, TYPE_NUMBERS, VALUE_NUMBERS
from modelglot.sources.file import LocalFiles
from modelglot.testing.by_hand import tensor_bytes, write

gguf = pytest.importorskip("gguf")
QUANT = gguf.GGMLQuantizationType
KINDS = sorted(QUANT, key=int)
ENDIANS = {"<": gguf.GGUFEndian.LITTLE, ">": gguf.GGUFEndian.BIG}


def read(path):
    return FORMAT.read(LocalFiles(str(path)), Limits())


def packed(kind, rows=3, blocks=2):
    """Arbitrary valid bytes of a type, as uint8 rows."""
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    length = blocks * size if elements > 1 else 5 * size
    return (np.arange(rows * length) % 249).astype(np.uint8).reshape(rows, length)


def writer(path, **kw):
    made = gguf.GGUFWriter(path, "llama", **kw)
    made.add_uint32("u", 7)
    made.add_float32("f", 0.25)
    made.add_bool("b", True)
    made.add_array("tokens", ["a", "é", ""])
    made.add_array("ints", [1, -2])
    return made


def finish(made):
    made.write_header_to_file()
    made.write_kv_data_to_file()
    made.write_tensors_to_file()
    made.close()


def test_type_tables_agree():
    assert {n: v for n, v in TYPE_NUMBERS.items() if n != "q2_0"} == {k.name.lower(): int(k) for k in QUANT}
    assert not set(REMOVED_TYPES) & {int(k) for k in QUANT}
    names = {"u8": "UINT8", "i8": "INT8", "u16": "UINT16", "i16": "INT16", "u32": "UINT32", "i32": "INT32",
             "f32": "FLOAT32", "bool": "BOOL", "str": "STRING", "array": "ARRAY", "u64": "UINT64", "i64": "INT64",
             "f64": "FLOAT64"}  # fmt: skip
    assert {names[n]: v for n, v in VALUE_NUMBERS.items()} == {v.name: int(v) for v in gguf.GGUFValueType}
    assert set(SCALARS) < {int(v) for v in gguf.GGUFValueType}


@pytest.mark.parametrize("kind", [k for k in KINDS if int(k) not in PLAIN_TYPES], ids=lambda k: k.name)
def test_block_sizes_agree(kind):
    ours = BLOCKS[kind.name.lower()]
    expected = gguf.GGML_QUANT_SIZES[kind]
    # The package counts two 32-bit scales in q8_1; ggml itself (block_q8_1) has two 16-bit ones.
    assert (ours.elements, ours.bytes) == ((32, 36) if kind.name == "Q8_1" else expected)


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.name)
def test_we_read_every_type_it_writes(tmp_path, kind):
    made = writer(tmp_path / "a.gguf")
    data = packed(kind)
    made.add_tensor("w", data, raw_dtype=kind)
    made.add_tensor("after", np.arange(3, dtype=np.float32))
    finish(made)
    ours, theirs = read(tmp_path / "a.gguf"), gguf.GGUFReader(tmp_path / "a.gguf")
    assert ours.tensors["w"].type_name == kind.name.lower()
    assert ours.tensors["w"].shape == tuple(reversed(theirs.tensors[0].shape.tolist()))
    assert tensor_bytes(ours, "w") == theirs.tensors[0].data.tobytes() == data.tobytes()
    assert tensor_bytes(ours, "after") == np.arange(3, dtype=np.float32).tobytes()


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.name)
def test_it_reads_every_type_we_write(tmp_path, kind):
    made = writer(tmp_path / "a.gguf")
    made.add_tensor("w", packed(kind), raw_dtype=kind)
    finish(made)
    ours = read(tmp_path / "a.gguf")
    assert not list(FORMAT.losses(ours))
    out = write(FORMAT.layout(ours, Options(name="b.gguf")), ours, tmp_path)["b.gguf"]
    assert out.read_bytes() == (tmp_path / "a.gguf").read_bytes()
    theirs = gguf.GGUFReader(out)
    assert theirs.tensors[0].tensor_type == kind
    assert theirs.tensors[0].data.tobytes() == packed(kind).tobytes()


@pytest.mark.parametrize("order", "<>")
def test_big_endian_as_it_writes_it(tmp_path, order):
    values = {d: np.arange(-3, 9).astype(d).reshape(3, 4) for d in ("f4", "f2", "f8", "i1", "i2", "i4", "i8")}
    made = writer(tmp_path / "a.gguf", endianess=ENDIANS[order])
    for name, value in values.items():
        made.add_tensor(name, value.copy())
    finish(made)
    ours = read(tmp_path / "a.gguf")
    assert {n: tensor_bytes(ours, n) for n in values} == {n: v.tobytes() for n, v in values.items()}
    assert {k: v if isinstance(v, (str, int, float)) else list(v) for k, v in ours.metadata.items()} == {
        "general.architecture": "llama",
        "u": 7,
        "f": 0.25,
        "b": True,
        "tokens": ["a", "é", ""],
        "ints": [1, -2],
    }
    out = write(FORMAT.layout(ours, Options(name="b.gguf")), ours, tmp_path)["b.gguf"]
    theirs = gguf.GGUFReader(out)
    assert all(np.array_equal(t.data, values[t.name]) for t in theirs.tensors)
    assert [f.contents() for f in list(theirs.fields.values())[3:]] == ["llama", 7, 0.25, True, ["a", "é", ""], [1, -2]]


@pytest.mark.parametrize("kind", ["Q4_0", "Q8_0", "Q4_K", "Q6_K", "MXFP4", "NVFP4"])
def test_block_words_are_those_it_swaps(kind):
    """The package's own endian converter knows these six types; where it swaps, our table does."""
    script = pytest.importorskip("gguf.scripts.gguf_convert_endian")

    class Fake:
        data = packed(QUANT[kind], 1, 1)[0].copy()

    script.byteswap_tensors[QUANT[kind]](Fake, 0)
    block = BLOCKS[kind.lower()]
    ours = bytearray(packed(QUANT[kind], 1, 1)[0].tobytes())
    for at, width in block.words:
        ours[at : at + width] = ours[at : at + width][::-1]
    assert bytes(ours) == Fake.data.tobytes()


def test_it_splits_and_we_merge(tmp_path):
    values = {f"t{i}": np.full((4, 8), i, np.float32) for i in range(5)}
    made = writer(tmp_path / "m.gguf", split_max_tensors=2)
    for name, value in values.items():
        made.add_tensor(name, value)
    finish(made)
    ours = read(tmp_path / "m-00002-of-00003.gguf")
    assert {n: tensor_bytes(ours, n) for n in ours.tensors} == {n: v.tobytes() for n, v in values.items()}
    out = write(FORMAT.layout(ours, Options(name="m.gguf", max_shard_size=256)), ours, tmp_path / "out")
    for name, path in out.items():
        assert path.read_bytes() == (tmp_path / name).read_bytes()


def test_real_quantized_values(tmp_path):
    """Blocks that the package quantized keep their numbers through us."""
    values = np.linspace(-2, 2, 4 * 256, dtype=np.float32).reshape(4, 256)
    for name in ("Q4_0", "Q5_1", "Q8_0", "TQ2_0", "MXFP4", "BF16", "F16"):
        made = writer(tmp_path / "a.gguf")
        made.add_tensor("w", gguf.quants.quantize(values, QUANT[name]), raw_dtype=QUANT[name])
        finish(made)
        ours = read(tmp_path / "a.gguf")
        raw = np.frombuffer(tensor_bytes(ours, "w"), np.uint8).reshape(4, -1)
        expected = gguf.quants.dequantize(gguf.quants.quantize(values, QUANT[name]), QUANT[name])
        raw = raw.view(np.float16) if name == "F16" else raw
        assert np.array_equal(gguf.quants.dequantize(raw, QUANT[name]), expected)


def test_removed_types_are_refused_by_both(tmp_path):
    made = writer(tmp_path / "a.gguf")
    made.add_tensor("w", packed(QUANT.Q4_0), raw_dtype=QUANT.Q4_0)
    finish(made)
    raw = bytearray((tmp_path / "a.gguf").read_bytes())
    at = raw.rindex(b"\x02\0\0\0" + bytes(8))
    raw[at] = 4
    (tmp_path / "a.gguf").write_bytes(raw)
    with pytest.raises(UnsupportedError, match="removed from ggml"):
        read(tmp_path / "a.gguf")
    with pytest.raises(ValueError):
        gguf.GGUFReader(tmp_path / "a.gguf")
