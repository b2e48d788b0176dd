"""Every transform against numpy, on floats in rows or strided, on blocks where rows stay whole, and back again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest

from modelglot.core.dtype import DTYPES
from modelglot.core.encoding import BLOCKS
from modelglot.core.errors import InvalidFileError, UnsupportedError
from modelglot.core.tensor import Extent, Inline, Stored, Tensor
from modelglot.engine.stream import read
from modelglot.families.family import Config, Transform
from modelglot.families.mxfp4 import Mxfp4
from modelglot.families.transforms import (
    Alternate,
    Cut,
    GroupedQKV,
    KeyValue,
    NegExp,
    Reshape,
    RopeRows,
    Shift,
    Stack,
    Transpose,
)

Array = np.ndarray[Any, Any]
CONFIG = Config({"heads": 4, "groups": 2, "width": 32, "key": 16, "value": 8})


class Case(NamedTuple):
    transform: Transform
    shapes: tuple[tuple[int, ...], ...]
    expected: Callable[..., Sequence[Array]]
    blocks: bool = False  # quantized tensors are moved as they are, in both directions


def _rope(x: Array) -> list[Array]:
    return [x.reshape(4, 2, -1, *x.shape[1:]).swapaxes(1, 2).reshape(x.shape)]


def _grouped(x: Array) -> list[Array]:
    parts = x.reshape(2, 2 + 2, -1, *x.shape[1:])
    return [np.concatenate([p.reshape(-1, *x.shape[1:]) for p in (parts[:, :2], parts[:, 2], parts[:, 3])])]


def _key_value(x: Array) -> list[Array]:
    both = x.reshape(4, 24, x.shape[1])
    return [both[:, :16].swapaxes(1, 2), both[:, 16:]]


CASES = {
    "rope rows": Case(RopeRows("heads"), ((32, 64),), _rope, blocks=True),
    "rope rows of a bias": Case(RopeRows("heads"), ((32,),), _rope),
    "stack": Case(Stack(), ((8, 32),) * 3, lambda *x: [np.stack(x)], blocks=True),
    "stack of vectors": Case(Stack(), ((8,),) * 3, lambda *x: [np.stack(x)]),
    "cut in halves": Case(Cut(), ((8, 32),), lambda x: [x[:4], x[4:]], blocks=True),
    "cut by name": Case(Cut(("heads", "groups")), ((9, 32),), lambda x: [x[:4], x[4:6], x[6:]], blocks=True),
    "cut inside": Case(Cut(axis=1), ((3, 8, 32),), lambda x: [x[:, :4], x[:, 4:]], blocks=True),
    "cut columns": Case(Cut(("width",), axis=-1), ((3, 96),), lambda x: [x[:, :32], x[:, 32:]]),
    "shift": Case(Shift(1.0), ((64,),), lambda x: [x + np.float32(1)]),
    "transpose": Case(Transpose(), ((6, 10),), lambda x: [x.T]),
    "transpose each": Case(Transpose(), ((3, 6, 10),), lambda x: [x.swapaxes(1, 2)]),
    "transpose no vector": Case(Transpose(), ((6,),), lambda x: [x]),
    "reshape": Case(Reshape(lambda s: (s[0], s[2]), lambda s: (s[0], 1, s[1])), ((6, 1, 4),), lambda x: [x[:, 0]]),
    "grouped qkv": Case(GroupedQKV("groups", "heads"), ((24, 32),), _grouped, blocks=True),
    "grouped qkv of a bias": Case(GroupedQKV("groups", "heads"), ((24,),), _grouped),
    "alternate rows": Case(Alternate(), ((3, 8, 32),), lambda x: [x[:, ::2], x[:, 1::2]], blocks=True),
    "alternate numbers": Case(Alternate(), ((3, 8),), lambda x: [x[:, ::2], x[:, 1::2]]),
    "alternate columns": Case(
        Alternate(columns=True), ((3, 5, 8),), lambda x: [x[..., ::2].swapaxes(1, 2), x[..., 1::2].swapaxes(1, 2)]
    ),
    "key and value": Case(KeyValue("heads", "key", "value"), ((96, 32),), _key_value),
}  # fmt: skip


class _File:
    """What the engine reads from: one file, in memory."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)

    def __call__(self, number: int) -> _File:
        return self

    def pread(self, offset: int, length: int) -> bytes:
        return self.data[offset : offset + length]

    def readinto(self, offset: int, out: Any) -> int:
        out[:] = self.data[offset : offset + len(out)]
        return len(out)


NO_FILE = _File(b"")


def _values(shape: tuple[int, ...], seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def _tensor(values: Array, name: str = "x") -> Tensor:
    kind = {"float32": "f32", "float16": "f16", "uint8": "u8"}[values.dtype.name]
    return Tensor(name, DTYPES[kind], values.shape, Inline(np.ascontiguousarray(values).tobytes()))


def _array(tensor: Tensor, source: Any = NO_FILE) -> Array:
    kind = {"f32": np.float32, "f16": np.float16, "u8": np.uint8}[tensor.dtype.name]
    return np.frombuffer(bytes(read(tensor, source)), kind).reshape(tensor.shape)


@pytest.mark.parametrize("name", CASES)
def test_there_and_back(name: str) -> None:
    case = CASES[name]
    arrays = [_values(shape, n) for n, shape in enumerate(case.shapes)]
    made = case.transform.there([_tensor(a) for a in arrays], CONFIG)
    for found, expected in zip(made, case.expected(*arrays), strict=True):
        np.testing.assert_array_equal(_array(found), expected)
    again = case.transform.back(made, CONFIG)
    for found, expected in zip(again, arrays, strict=True):
        if isinstance(case.transform, Shift):
            np.testing.assert_allclose(_array(found), expected, atol=1e-6)
        else:
            np.testing.assert_array_equal(_array(found), expected)


@pytest.mark.parametrize("name", CASES)
def test_from_a_strided_tensor(name: str) -> None:
    """Torch saves views: a transposed matrix has the same values somewhere else."""
    case = CASES[name]
    arrays = [_values(shape, n) for n, shape in enumerate(case.shapes)]
    data = b"".join(np.ascontiguousarray(a.T).tobytes() for a in arrays)
    tensors, at = [], 0
    for a in arrays:
        strides = tuple(s // 4 for s in np.ascontiguousarray(a.T).T.strides)
        where = Stored((Extent(0, at, a.nbytes),), strides if a.ndim > 1 else None)
        tensors.append(Tensor("x", DTYPES["f32"], a.shape, where))
        at += a.nbytes
    made = case.transform.there(tensors, CONFIG)
    for found, expected in zip(made, case.expected(*arrays), strict=True):
        np.testing.assert_array_equal(_array(found, _File(data)), expected)


@pytest.mark.parametrize("name", [n for n, c in CASES.items() if c.blocks])
def test_blocks_are_moved_and_never_decoded(name: str) -> None:
    gguf = pytest.importorskip("gguf")
    case, kind = CASES[name], gguf.GGMLQuantizationType.Q8_0
    raw = [gguf.quants.quantize(_values(shape, n), kind) for n, shape in enumerate(case.shapes)]
    decoded = [gguf.quants.dequantize(r, kind) for r in raw]
    tensors = [
        Tensor("x", DTYPES["f32"], d.shape, Inline(r.tobytes()), BLOCKS["q8_0"])
        for r, d in zip(raw, decoded, strict=True)
    ]
    made = case.transform.there(tensors, CONFIG)
    for found, expected in zip(made, case.expected(*decoded), strict=True):
        assert found.encoding.name == "q8_0"
        rows = np.frombuffer(bytes(read(found, NO_FILE)), np.uint8).reshape(*found.shape[:-1], -1)
        np.testing.assert_array_equal(gguf.quants.dequantize(rows, kind), expected)
    again = case.transform.back(made, CONFIG)
    assert [bytes(read(t, NO_FILE)) for t in again] == [r.tobytes() for r in raw]


def test_transposed_blocks_are_decoded_first() -> None:
    gguf = pytest.importorskip("gguf")
    kind = gguf.GGMLQuantizationType.Q8_0
    raw = gguf.quants.quantize(_values((4, 64)), kind)
    (made,) = Transpose().there([Tensor("x", DTYPES["f32"], (4, 64), Inline(raw.tobytes()), BLOCKS["q8_0"])], CONFIG)
    np.testing.assert_array_equal(_array(made), gguf.quants.dequantize(raw, kind).T)


def test_decay_is_found_again_exactly() -> None:
    """From bfloat16 and float16 bit for bit, from float32 to the last place."""
    exact = _values((4, 16)).view(np.uint32) & np.uint32(0xFFFF0000)
    for values in (exact.view(np.float32), _values((4, 16)).astype(np.float16).astype(np.float32)):
        there = NegExp().there([_tensor(values)], CONFIG)
        np.testing.assert_array_equal(_array(there[0]), -np.exp(values.astype(np.float64)).astype(np.float32))
        np.testing.assert_array_equal(_array(NegExp().back(there, CONFIG)[0]), values)
    wide = np.log(np.arange(1, 17, dtype=np.float32))
    again = NegExp().back(NegExp().there([_tensor(wide)], CONFIG), CONFIG)
    np.testing.assert_allclose(_array(again[0]), wide, rtol=2e-7, atol=1e-7)


@pytest.mark.parametrize("turns", [1, 2])
def test_mxfp4_blocks_mean_the_same_numbers(turns: int) -> None:
    gguf = pytest.importorskip("gguf")
    rng = np.random.default_rng(3)
    codes = rng.integers(0, 256, (3, 4, 2, 16), dtype=np.uint8)
    exponents = rng.integers(110, 130, (3, 4, 2), dtype=np.uint8)
    numbers = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6], np.float32)
    each = numbers[np.stack((codes & 15, codes >> 4), -1)].reshape(3, 4, 2, 32)
    values = np.ldexp(each, exponents[..., None].astype(np.int32) - 127).reshape(3, 4, 64)
    made = Mxfp4(turns).there([_tensor(codes), _tensor(exponents)], CONFIG)
    for turn, tensor in enumerate(made):
        raw = np.frombuffer(bytes(read(tensor, NO_FILE)), np.uint8).reshape(*tensor.shape[:-1], -1)
        found = gguf.quants.dequantize(raw, gguf.GGMLQuantizationType.MXFP4)
        np.testing.assert_array_equal(found, values[:, turn::turns])
    again = Mxfp4(turns).back(made, CONFIG)
    np.testing.assert_array_equal(_array(again[0]), codes)
    np.testing.assert_array_equal(_array(again[1]), exponents)


@pytest.mark.parametrize(
    ("transform", "shape"),
    [
        (RopeRows("heads"), (30, 8)),
        (GroupedQKV("groups", "heads"), (30, 8)),
        (KeyValue("heads", "key", "value"), (30, 8)),
        (Cut(("width",)), (30, 8)),
        (RopeRows("absent"), (32, 8)),
    ],
)
def test_shapes_that_do_not_fit_are_refused(transform: Transform, shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidFileError):
        transform.there([_tensor(_values(shape))], CONFIG)


def test_columns_of_blocks_are_not_cut() -> None:
    whole = Tensor("x", DTYPES["f32"], (2, 64), Inline(bytes(2 * 2 * 34)), BLOCKS["q8_0"])
    with pytest.raises(UnsupportedError):
        Cut(axis=1).there([whole], CONFIG)
