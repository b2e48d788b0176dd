""".npy and .npz against NumPy: it reads what we write, we read what it writes."""

import io

import numpy as np
import pytest

from modelglot.containers import npy_header
from modelglot.core.dtype import DTYPES
from modelglot.core.layout import Options
from modelglot.core.limits import Limits
from modelglot.core.metadata import Metadata
from modelglot.core.model import Model
from modelglot.core.tensor import Inline, Tensor
from modelglot.formats import npy, npz
from modelglot.sources.file import LocalFiles
from modelglot.testing.by_hand import tensor_bytes, write

CODES = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"]
KINDS = {"b": "bool", "i": "int", "u": "uint", "f": "float", "c": "complex"}
SHAPES = [(), (0,), (1,), (5,), (2, 3), (1, 1), (3, 1, 2), (2, 0, 3), (2, 3, 4, 5)]


def read(path, format=npy):
    return format.FORMAT.read(LocalFiles(str(path)), Limits())


def values(code, shape):
    return np.arange(int(np.prod(shape))).reshape(shape).astype(code)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("code", CODES)
def test_every_dtype_shape_and_order(tmp_path, code, order):
    for shape in SHAPES:
        for layout in "CF":
            array = np.array(values(code, shape), dtype=np.dtype(code).newbyteorder(order), order=layout)
            np.save(tmp_path / "a.npy", array)
            tensor = read(tmp_path / "a.npy").tensors["a"]
            assert tensor.shape == shape
            assert tensor.dtype.kind == KINDS[array.dtype.kind]
            little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"))
            assert tensor_bytes(read(tmp_path / "a.npy"), "a") == little.tobytes()


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version(tmp_path, version):
    with open(tmp_path / "a.npy", "wb") as out:
        np.lib.format.write_array(out, values("f4", (2, 3)), version=version)
    assert tensor_bytes(read(tmp_path / "a.npy"), "a") == values("f4", (2, 3)).tobytes()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_it_writes(tmp_path, save):
    arrays = {"w": values("f4", (30, 40)), "layer/b": values("i8", (5,)).astype(">i8"), "t": values("f8", (3, 4)).T,
              "naïve": values("u1", ()), "empty": values("f2", (0, 3))}  # fmt: skip
    save(tmp_path / "a.npz", **arrays)
    got = read(tmp_path / "a.npz", npz)
    assert list(got.tensors) == list(arrays)
    assert {n: tensor_bytes(got, n) for n in arrays} == {
        n: np.ascontiguousarray(a).astype(a.dtype.newbyteorder("<")).tobytes() for n, a in arrays.items()
    }


def test_npz_it_reads(tmp_path):
    arrays = {f"{c}/{'x'.join(map(str, s))}": values(c, s) for c in CODES for s in SHAPES}
    names = {"?": "bool", "i": "i{}", "u": "u{}", "f": "f{}", "c": "c{}"}
    tensors = {
        n: Tensor(n, DTYPES[names[a.dtype.char if a.dtype.char == "?" else a.dtype.kind].format(a.dtype.itemsize * 8)],
                  a.shape, Inline(a.tobytes()))
        for n, a in arrays.items()}  # fmt: skip
    model = Model("x", (), tensors, metadata=Metadata())
    assert not list(npz.FORMAT.losses(model))
    out = write(npz.FORMAT.layout(model, Options(name="b.npz")), model, tmp_path)["b.npz"]
    with np.load(out, allow_pickle=False) as found:
        assert list(found) == list(arrays)
        for name, array in arrays.items():
            assert found[name].dtype == array.dtype
            assert found[name].shape == array.shape
            assert np.array_equal(found[name], array)
    assert read(out, npz).tensors.keys() == tensors.keys()


def test_header_is_the_one_it_writes():
    for shape in [*SHAPES, (123456789,), (1,) * 12]:
        for fortran in (False, True):
            out = io.BytesIO()
            np.lib.format.write_array_header_1_0(out, {"descr": "<f4", "fortran_order": fortran, "shape": shape})
            assert npy_header.render("<f4", shape, fortran) == out.getvalue()


def test_objects(tmp_path):
    nested = np.array({"PNet": {"conv1": [values("f4", (3, 3)), values(">f4", (3,))]}, "lr": 0.1, "n": np.float32(2)})
    np.save(tmp_path / "a.npy", nested, allow_pickle=True)
    got = read(tmp_path / "a.npy")
    assert list(got.tensors) == ["PNet.conv1.0", "PNet.conv1.1"]
    assert tensor_bytes(got, "PNet.conv1.1") == values("<f4", (3,)).tobytes()
    assert "pickled-objects" in [n.code for n in got.notes]
    assert got.tree.get("lr") == 0.1
    for save in (np.savez, np.savez_compressed):
        big = np.array([values("f8", (100, 100)), None], dtype=object)
        save(tmp_path / "a.npz", o=nested, w=values("i4", (2,)), big=big)
        got = read(tmp_path / "a.npz", npz)
        assert list(got.tensors) == ["o.PNet.conv1.0", "o.PNet.conv1.1", "w", "big.0"]
        assert tensor_bytes(got, "big.0") == values("f8", (100, 100)).tobytes()
        assert tensor_bytes(got, "w") == values("i4", (2,)).tobytes()


@pytest.mark.parametrize("dtype", ["U3", "S5", "M8[ns]", "m8[s]", "V7", "V2", "g", [("a", "<f4"), ("b", "<i2", (2,))],
                                   [("x", [("y", ">f8")]), ("é", "?")]], ids=str)  # fmt: skip
def test_types_that_are_not_numbers_are_carried(tmp_path, dtype):
    array = np.zeros((2, 3), dtype)
    array.view(np.uint8)[:] = 1
    np.save(tmp_path / "a.npy", array)
    got = read(tmp_path / "a.npy")
    assert got.tensors["a"].dtype.name == "opaque"
    assert tensor_bytes(got, "a") == array.tobytes()
    assert [n.code for n in got.notes] == ["opaque-dtype"]
    out = write(npz.FORMAT.layout(got, Options(name="b.npz")), got, tmp_path)["b.npz"]
    again = np.load(out, allow_pickle=False)["a"]
    assert again.dtype == array.dtype
    assert again.tobytes() == array.tobytes()


def test_bfloat16_of_ml_dtypes(tmp_path):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    array = np.arange(6).reshape(2, 3).astype(ml_dtypes.bfloat16)
    np.save(tmp_path / "a.npy", array)
    got = read(tmp_path / "a.npy")
    assert got.tensors["a"].dtype.name == "bf16"
    assert tensor_bytes(got, "a") == array.tobytes()
    assert [loss.kind for loss in npz.FORMAT.losses(got)] == ["dtype"]
    np.save(tmp_path / "b.npy", array.astype(ml_dtypes.float8_e4m3fn))
    assert read(tmp_path / "b.npy").tensors["b"].dtype.name == "opaque"


def test_several_arrays_in_one_file(tmp_path):
    with open(tmp_path / "a.npy", "wb") as out:
        np.save(out, values("f4", (2, 3)))
        np.save(out, values("i8", (4,)))
    got = read(tmp_path / "a.npy")
    assert list(got.tensors) == ["arr_0", "arr_1"]
    assert tensor_bytes(got, "arr_1") == values("i8", (4,)).tobytes()
