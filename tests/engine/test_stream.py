"""Every way a tensor's bytes can lie, against numpy's own slicing."""

from __future__ import annotations

import gzip
import zlib
from typing import Any

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from modelglot.api.memory import MemoryPool
from modelglot.core.dtype import DTYPES
from modelglot.core.encoding import BLOCKS
from modelglot.core.errors import DamagedFileError, InvalidFileError
from modelglot.core.tensor import Derived, Extent, Inline, Missing, Stored, Tensor, contiguous_strides
from modelglot.core.views import assembled, beside, run
from modelglot.engine.stream import chunks, read


def tensor(array: Any, data: Any, dtype: str = "f32") -> Tensor:
    return Tensor("w", DTYPES[dtype], array.shape, data)


def collect(t: Tensor, pool: MemoryPool, size: int) -> bytes:
    """What `chunks` yields, put together; every byte must come exactly once, and in order."""
    out, seen, last = bytearray(t.nbytes), bytearray(t.nbytes), 0
    for offset, data in chunks(t, pool, size):
        assert offset >= last
        last = offset
        out[offset : offset + len(data)] = data
        seen[offset : offset + len(data)] = bytes(b + 1 for b in seen[offset : offset + len(data)])
    assert all(count == 1 for count in seen)
    return bytes(out)


@st.composite
def views(draw: st.DrawFn) -> Any:
    """An array and a view of it: transposed, stepped, sliced, expanded."""
    shape = tuple(draw(st.lists(st.integers(1, 7), min_size=1, max_size=4)))
    base = np.arange(int(np.prod(shape)), dtype="<f4").reshape(shape)
    view = base.transpose(draw(st.permutations(range(len(shape)))))
    index = tuple(slice(draw(st.integers(0, n - 1)), n, draw(st.integers(1, 3))) for n in view.shape)
    view = view[index]
    if draw(st.booleans()):
        view = np.broadcast_to(view, (draw(st.integers(1, 3)), *view.shape))
    return base, view


@settings(max_examples=300, deadline=None)
@given(views(), st.sampled_from([4, 12, 64, 1 << 20]), st.booleans())
def test_strided_views(pair: Any, size: int, big: bool) -> None:
    base, view = pair
    stored = base.astype(">f4") if big else base
    offset = view.__array_interface__["data"][0] - base.__array_interface__["data"][0]
    strides = tuple(s // 4 for s in view.strides)
    reach = 4 * (1 + sum((n - 1) * s for n, s in zip(view.shape, strides, strict=True)))
    data = Stored((Extent(0, offset, reach),), strides, "big" if big else "little")
    assert collect(tensor(view, data), MemoryPool([memoryview(stored).cast("B")]), size) == view.tobytes()


@pytest.mark.parametrize("size", [4, 100, 1 << 20])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", ">i8", ">c8", "u1"])
def test_contiguous_in_any_byte_order(dtype: str, size: int) -> None:
    array = np.frombuffer(np.random.default_rng(0).bytes(480), dtype)
    ours = {"f4": "f32", "i8": "i64", "c8": "c64", "u1": "u8"}[dtype[-2:]]
    data = Stored((Extent(0, 0, 480),), None, "big" if dtype[0] == ">" else "little")
    wanted = array.astype(array.dtype.newbyteorder("<")).tobytes()
    assert collect(tensor(array, data, ours), MemoryPool([memoryview(array).cast("B")]), size) == wanted


@pytest.mark.parametrize("size", [64, 4096, 1 << 22])
def test_deflated(size: int) -> None:
    raw = np.random.default_rng(0).bytes(50_000) + bytes(100_000)
    packer = zlib.compressobj(wbits=-15)
    packed = b"junk" + packer.compress(raw) + packer.flush()
    skip, length = 1280, 40_000
    array = np.frombuffer(raw[skip : skip + length], np.uint8)
    data = Stored((Extent(0, 4, len(packed) - 4, "deflate"),), skip=skip)
    assert collect(tensor(array, data, "u8"), MemoryPool([memoryview(packed)]), size) == array.tobytes()


def test_deflated_and_strided() -> None:
    base = np.arange(600, dtype="<f4").reshape(20, 30)
    packer = zlib.compressobj(wbits=-15)
    packed = packer.compress(base.tobytes()) + packer.flush()
    data = Stored((Extent(0, 0, len(packed), "deflate"),), (1, 30))
    t = Tensor("w", DTYPES["f32"], (30, 20), data)
    assert collect(t, MemoryPool([memoryview(packed)]), 64) == base.T.tobytes()


def test_damaged_deflate_is_named() -> None:
    data = Stored((Extent(0, 0, 40, "deflate"),))
    with pytest.raises(DamagedFileError) as caught:
        read(Tensor("w", DTYPES["u8"], (100,), data), MemoryPool([memoryview(b"\xff" * 40)]))
    assert caught.value.tensor == "w"


def test_deflate_that_ends_early_is_damage() -> None:
    packer = zlib.compressobj(wbits=-15)
    packed = packer.compress(b"x" * 50) + packer.flush()
    data = Stored((Extent(0, 0, len(packed), "deflate"),))
    with pytest.raises(DamagedFileError):
        read(Tensor("w", DTYPES["u8"], (100,), data), MemoryPool([memoryview(packed)]))


def test_inline_and_missing() -> None:
    pool = MemoryPool([])
    assert read(Tensor("w", DTYPES["u8"], (3,), Inline(b"abc")), pool) == b"abc"
    with pytest.raises(DamagedFileError, match="gone"):
        read(Tensor("w", DTYPES["u8"], (3,), Missing("gone")), pool)


@pytest.mark.parametrize("size", [64, 1 << 20])
@pytest.mark.parametrize(
    "pair", [("f32", "bf16"), ("f32", "f16"), ("bf16", "f32"), ("f16", "bf16"), ("f64", "f8_e4m3")]
)
def test_casts_of_strided_tensors(pair: tuple[str, str], size: int) -> None:
    from modelglot.kernels.arrays import numpy_dtype

    before, after = (numpy_dtype(DTYPES[p]) for p in pair)
    base = np.random.default_rng(0).normal(size=(33, 17)).astype(before)
    source = Tensor("w", DTYPES[pair[0]], (17, 33), Stored((Extent(0, 0, base.nbytes),), (1, 17)))
    t = Tensor("w", DTYPES[pair[1]], (17, 33), Derived("cast", (source,), {"from": pair[0], "to": pair[1]}))
    got = collect(t, MemoryPool([memoryview(base.view(np.uint8)).cast("B")]), size)
    assert got == base.T.astype(after).tobytes()


def test_big_endian_blocks() -> None:
    block = bytes(range(18))
    data = Stored((Extent(0, 0, 36),), None, "big")
    t = Tensor("w", DTYPES["f32"], (64,), data, BLOCKS["q4_0"])
    swapped = bytes([1, 0, *range(2, 18)])
    assert read(t, MemoryPool([memoryview(block * 2)])) == swapped * 2


def test_contiguous_strides_are_numpys() -> None:
    array = np.zeros((3, 4, 5), np.uint8)
    assert contiguous_strides(array.shape) == array.strides


@settings(max_examples=200, deadline=None)
@given(views(), st.sampled_from([4, 12, 64, 1 << 20]), st.booleans())
def test_arranged_units(pair: Any, size: int, inline: bool) -> None:
    """`arrange` over stored bytes and over bytes that come from elsewhere."""
    base, view = pair
    data: Any = Inline(base.tobytes()) if inline else Stored((Extent(0, 0, base.nbytes),))
    offset = (view.__array_interface__["data"][0] - base.__array_interface__["data"][0]) // 4
    params = {"unit": 4, "offset": offset, "shape": view.shape, "strides": [s // 4 for s in view.strides]}
    made = tensor(view, Derived("arrange", (tensor(base, data),), params))
    pool = MemoryPool([memoryview(base).cast("B")])
    assert collect(made, pool, size) == view.tobytes()


@pytest.mark.parametrize("dtype", ["u1", "<u2", "<f4", "<f8", "<c16"])
@pytest.mark.parametrize("perm", [(1, 0), (2, 0, 1), (2, 1, 0), (1, 0, 2), (3, 2, 0, 1)])
def test_bands_of_turned_axes(dtype: str, perm: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Large enough for tiles, and held in pieces: the storage is read several times."""
    monkeypatch.setattr("modelglot.engine.gather._LEAST", 20_000)
    shape = (300, 411, 3, 2)[: len(perm)] if len(perm) != 3 else (300, 5, 290)
    base = np.arange(np.prod(shape)).astype(dtype).reshape(shape)
    view = base.transpose(perm)
    name = {"u1": "u8", "<u2": "u16", "<f4": "f32", "<f8": "f64", "<c16": "c128"}[dtype]
    strides = tuple(s // base.itemsize for s in view.strides)
    turned = tensor(view, Stored((Extent(0, 0, base.nbytes),), strides), name)
    assert collect(turned, MemoryPool([memoryview(base.tobytes())]), 50_000) == view.tobytes()


def test_concatenated_and_then_quantized() -> None:
    """Experts of different origin put one after another, through a kernel that needs whole rows."""
    rng = np.random.default_rng(1)
    a, b = (rng.standard_normal((3, 64)).astype("<f4") for _ in range(2))
    turned = Stored((Extent(1, 0, b.nbytes),), (1, 64))
    parts = (
        tensor(a, Stored((Extent(0, 0, a.nbytes),))),
        Tensor("b", DTYPES["f32"], (64, 3), turned),
        tensor(a, Inline(a.tobytes())),
    )
    joined = Tensor("w", DTYPES["f32"], (9, 64), Derived("concat", parts))
    pool = MemoryPool([memoryview(a).cast("B"), memoryview(b).cast("B")])
    expected = np.concatenate([a.ravel(), b.T.ravel(), a.ravel()])
    params = {"from": "f32", "to": "q8_0"}
    made = Tensor("w", DTYPES["f32"], (9, 64), Derived("quantize", (joined,), params), BLOCKS["q8_0"])
    whole = Derived("quantize", (tensor(expected.reshape(9, 64), Inline(expected.tobytes())),), params)
    for size in (100, 1 << 20):
        assert collect(joined, pool, size) == expected.tobytes()
        assert read(made, pool) == read(Tensor("w", DTYPES["f32"], (9, 64), whole, BLOCKS["q8_0"]), pool)


@pytest.mark.parametrize("size", [1, 100, 1000, 1 << 20])
@pytest.mark.parametrize("widths", [(8, 8), (3, 5, 1), (7,), (4, 0, 2)])
def test_columns_side_by_side(widths: tuple[int, ...], size: int) -> None:
    """Stored rows, a transposed view, a deflated cast: joined along the last axis whatever pieces they come in."""
    rng = np.random.default_rng(2)
    arrays = [rng.standard_normal((11, w)).astype("<f4") for w in widths]
    turned = np.ascontiguousarray(arrays[0].T)
    half = arrays[-1].astype("<f2")
    packer = zlib.compressobj(wbits=-15)
    packed = packer.compress(half.tobytes()) + packer.flush()
    parts = [tensor(a, Stored((Extent(n, 0, a.nbytes),))) for n, a in enumerate(arrays)]
    parts[0] = tensor(arrays[0], Stored((Extent(0, 0, turned.nbytes),), (1, 11)))
    deflated = tensor(half, Stored((Extent(len(arrays), 0, len(packed), "deflate"),)), "f16")
    parts.append(tensor(half, Derived("cast", (deflated,), {"from": "f16", "to": "f32"})))
    pool = MemoryPool([memoryview(a.tobytes()) for a in (turned, *arrays[1:])] + [memoryview(packed)])
    expected = np.concatenate([*arrays, half.astype("<f4")], axis=1)
    made = beside(parts)
    assert collect(made, pool, size) == expected.tobytes()


@st.composite
def tilings(draw: st.DrawFn) -> Any:
    """A shape and a grid of boxes over it; those at the far edges may reach past the end, as chunks of an array do."""
    shape = tuple(draw(st.lists(st.integers(1, 9), min_size=0, max_size=4)))
    chunk = tuple(draw(st.integers(1, n)) for n in shape)
    origins = list(np.ndindex(*(-(-n // c) for n, c in zip(shape, chunk, strict=True))))
    return shape, chunk, [tuple(i * c for i, c in zip(o, chunk, strict=True)) for o in draw(st.permutations(origins))]


CODECS = {
    "raw": bytes,
    "zlib": zlib.compress,
    "gzip": gzip.compress,
    "deflate": lambda raw: zlib.compress(raw, wbits=-15),
    "zstd": zstandard.compress,
}


@settings(max_examples=200, deadline=None)
@given(tilings(), st.sampled_from([4, 12, 64, 1 << 20]), st.sampled_from(list(CODECS)), st.booleans())
def test_a_tensor_of_boxes(tiling: Any, size: int, codec: str, drop: bool) -> None:
    shape, chunk, origins = tiling
    whole = np.arange(int(np.prod(shape)), dtype="<f4").reshape(shape) + 1
    padded = np.pad(whole, [(0, c) for c in chunk]) if shape else whole.copy()
    if drop and len(origins) > 1:  # what no box covers is zero
        hole = origins.pop()
        whole[tuple(slice(o, o + c) for o, c in zip(hole, chunk, strict=True))] = 0
    raw, parts = bytearray(), []
    for origin in origins:
        box = padded[tuple(slice(o, o + c) for o, c in zip(origin, chunk, strict=True))]
        packed = CODECS[codec](box.tobytes())
        parts.append((origin, tensor(box, Stored((Extent(0, len(raw), len(packed), codec),)))))
        raw += packed
    made = assembled(tensor(whole, Missing("")), parts)
    assert collect(made, MemoryPool([memoryview(raw)]), size) == whole.tobytes()


def test_a_box_outside_of_its_tensor_is_an_error() -> None:
    whole, part = np.zeros((4, 4), np.float32), np.zeros((2, 4), np.float32)
    made = assembled(tensor(whole, Missing("")), [((4, 0), tensor(part, Inline(part.tobytes())))])
    with pytest.raises(InvalidFileError, match="outside"):
        read(made, MemoryPool([]))


@pytest.mark.parametrize("codec", ["zlib", "gzip", "deflate", "zstd"])
def test_damaged_compressed_bytes_are_an_error_with_a_place(codec: str) -> None:
    whole = np.arange(64, dtype="<f4")
    with pytest.raises(DamagedFileError):
        read(tensor(whole, Stored((Extent(0, 0, 9, codec),))), MemoryPool([memoryview(b"\xff" * 9)]))


def test_shuffled_bytes_are_put_back() -> None:
    whole = np.arange(64, dtype="<f4")
    shuffled = np.frombuffer(whole.tobytes(), np.uint8).reshape(-1, 4).T.tobytes()  # what HDF5's shuffle filter does
    made = tensor(whole, Derived("unshuffle", (tensor(whole, Inline(shuffled)),), {"width": 4}))
    assert bytes(read(made, MemoryPool([]))) == whole.tobytes()


@pytest.mark.parametrize("codec", ["raw", "zlib"])
def test_a_run_of_elements(codec: str) -> None:
    whole = np.arange(64, dtype="<f4")
    packed = CODECS[codec](whole.tobytes())
    cut = run(tensor(whole, Stored((Extent(0, 0, len(packed), codec),))), 5, 20)
    assert cut.shape == (20,)
    assert bytes(read(cut, MemoryPool([memoryview(packed)]))) == whole[5:25].tobytes()
