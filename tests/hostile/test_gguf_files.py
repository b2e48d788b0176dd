"""GGUF files that lie: each row the expected error, nothing allocated beyond the file."""

import random
import tracemalloc

import pytest

from modelglot.core.errors import DamagedFileError, InvalidFileError, LimitError, ModelFileError, UnsupportedError
from modelglot.core.limits import Limits
from modelglot.formats.gguf import FORMAT
from modelglot.sources.file import LocalFiles
from modelglot.testing.tiny_gguf import ARRAY, STR, Build, Info

B = Build()
U64 = (1 << 64) - 1
DATA = bytes(64)


def entry(key="k", number=4, value=1):
    return B.entry(key, number, value)


def raw_entry(number, tail, key="k"):
    return B.text(key) + B.pack("I", number) + tail


def with_info(*infos, data=DATA, entries=()):
    return B.file(entries, infos, data)


def aligned(value, number=4):
    return B.file([entry("general.alignment", number, value)], [Info("w", (8,))], DATA)


def nested(depth):
    value = (4, [])
    for _ in range(depth):
        value = (ARRAY, [value])
    return entry("k", ARRAY, value)


ROWS = {
    "nothing but the magic": (b"GGUF", DamagedFileError, "version number"),
    "only a version": (b"GGUF\3\0\0\0", DamagedFileError, "tensor count"),
    "another magic": (B.file(magic=b"GGML"), InvalidFileError, "`GGUF`"),
    "version 0": (Build(version=0).file(), InvalidFileError, "version 0"),
    "version 4": (Build(version=4).file(), UnsupportedError, "version 4"),
    "2^64-1 tensors": (B.file(n_tensors=U64), DamagedFileError, "18,446,744,073,709,551,615 tensors"),
    "2^60 tensors": (B.file(n_tensors=1 << 60), DamagedFileError, "do not fit"),
    "2^64-1 keys": (B.file(n_entries=U64), DamagedFileError, "do not fit"),
    "one key too many": (B.file([entry()], n_entries=2), DamagedFileError, "do not fit"),
    "one tensor too many": (B.file([], [Info("w", (1,))], n_tensors=2), DamagedFileError, "2 tensors do not fit"),
    "key of 2^64-1 bytes": (B.file([B.pack("Q", U64) + bytes(40)]), DamagedFileError, "key 1"),
    "string of 2^62 bytes": (B.file([raw_entry(STR, B.pack("Q", 1 << 62) + bytes(16))]), DamagedFileError, "`k`"),
    "string past the end": (B.file([raw_entry(STR, B.pack("Q", 17) + bytes(16))]), DamagedFileError, "1 bytes after"),
    "array of 2^61 u64": (B.file([raw_entry(ARRAY, B.pack("IQ", 10, 1 << 61) + bytes(16))]), DamagedFileError, "`k`"),
    "array of 2^64-1 u8": (B.file([raw_entry(ARRAY, B.pack("IQ", 0, U64) + bytes(16))]), DamagedFileError, "`k`"),
    "array of 2^61 strings": (
        B.file([raw_entry(ARRAY, B.pack("IQ", STR, 1 << 61) + bytes(16))]), DamagedFileError, "`k`"),
    "string of an array": (
        B.file([raw_entry(ARRAY, B.pack("IQQ1sQ", STR, 2, 1, b"a", 1 << 63) + bytes(9))]), DamagedFileError,
        "a string of"),
    "array of 2^61 arrays": (
        B.file([raw_entry(ARRAY, B.pack("IQ", ARRAY, 1 << 61) + bytes(16))]), DamagedFileError, "do not fit"),
    "arrays five deep": (B.file([nested(4)]), LimitError, "nested more than 4"),
    "unknown value type": (B.file([raw_entry(13, bytes(16))]), InvalidFileError, "unknown type 13"),
    "unknown element type": (
        B.file([raw_entry(ARRAY, B.pack("IQ", 99, 1) + bytes(8))]), InvalidFileError, "unknown type 99"),
    "boolean 2": (B.file([raw_entry(7, b"\2" + bytes(8))]), InvalidFileError, "neither 0 nor 1"),
    "booleans 2": (B.file([raw_entry(ARRAY, B.pack("IQ", 7, 2) + b"\1\2")]), InvalidFileError, "neither 0 nor 1"),
    "duplicate key": (B.file([entry(), entry()]), InvalidFileError, "`k` twice"),
    "empty key": (B.file([entry("")]), InvalidFileError, "key 1 of the metadata is empty"),
    "key of 65536 bytes": (B.file([entry("k" * 65536)]), InvalidFileError, "65,536 bytes"),
    "alignment 0": (aligned(0), InvalidFileError, "power of two"),
    "alignment 13": (aligned(13), InvalidFileError, "is 13"),
    "alignment 2^31": (aligned(1 << 31), InvalidFileError, "power of two"),
    "alignment 2^21": (aligned(1 << 21), InvalidFileError, "power of two"),
    "alignment u64": (aligned(32, 10), InvalidFileError, "must be a u32, not u64"),
    "alignment text": (aligned("32", STR), InvalidFileError, "must be a u32, not str"),
    "dims overflow to little": (
        with_info(Info("w", (4, (1 << 30) - 1, (1 << 30) + 1))), InvalidFileError, "18,446,744,073,709,551,600 bytes"),
    "dims of 2^63": (with_info(Info("w", (1 << 63,))), InvalidFileError, "more than 2^63"),
    "dims of 2^32 twice": (with_info(Info("w", (1 << 32, 1 << 32))), InvalidFileError, "more than 2^63"),
    "five axes": (with_info(Info("w", (1, 1, 1, 1, 1))), InvalidFileError, "5 dimensions"),
    "2^32-1 axes": (with_info(Info("w", (1,), n_dims=(1 << 32) - 1)), InvalidFileError, "4,294,967,295 dimensions"),
    "removed type 4": (with_info(Info("w", (32,), 4)), UnsupportedError, "Q4_2"),
    "removed type 5": (with_info(Info("w", (32,), 5)), UnsupportedError, "Q4_3"),
    "removed type 31": (with_info(Info("w", (32,), 31)), UnsupportedError, "Q4_0_4_4"),
    "removed type 38": (with_info(Info("w", (32,), 38)), UnsupportedError, "IQ4_NL_8_8"),
    "row not of whole blocks": (with_info(Info("w", (31, 32), 2)), InvalidFileError, "q4_0 blocks of 32"),
    "row of half a super-block": (with_info(Info("w", (128, 2), 12)), InvalidFileError, "q4_k blocks of 256"),
    "offset misaligned": (with_info(Info("w", (1,), 0, 4)), InvalidFileError, "not a multiple of the alignment 32"),
    "offset 2^64-32": (with_info(Info("w", (1,), 0, (1 << 64) - 32)), InvalidFileError, "impossible data offset"),
    "overlap": (with_info(Info("a", (16,)), Info("w", (8,), 0, 32)), InvalidFileError, "overlaps tensor `a`"),
    "the same place": (with_info(Info("a", (8,)), Info("w", (8,))), InvalidFileError, "overlaps tensor `a`"),
    "duplicate tensor": (with_info(Info("w", (8,)), Info("w", (8,), 0, 32)), InvalidFileError, "already in the list"),
    "name of 128 bytes": (with_info(Info("w" * 128, (8,))), InvalidFileError, "128 bytes or more"),
    "name of 2^40 bytes": (
        B.pack("4sIQQ", b"GGUF", 3, 1, 0) + B.pack("Q", 1 << 40) + bytes(60), DamagedFileError,
        "an entry of the tensor list"),
    "split.no beyond split.count": (
        B.file([entry("split.no", 2, 3), entry("split.count", 2, 3)]), InvalidFileError, "not below `split.count`"),
    "split.count as text": (B.file([entry("split.count", STR, "3")]), InvalidFileError, "must be a number"),
}  # fmt: skip
NAMES_TENSOR = ("dims", "axes", "removed", "row", "offset", "overlap", "the same", "duplicate tensor", "name of 128")


def read(path):
    return FORMAT.read(LocalFiles(str(path)), Limits())


@pytest.mark.parametrize("story", ROWS)
def test_the_error_says_what_and_where(tmp_path, story):
    raw, kind, words = ROWS[story]
    path = tmp_path / "bad.gguf"
    path.write_bytes(raw)
    tracemalloc.start()
    with pytest.raises(ModelFileError) as caught:
        read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert type(caught.value) is kind
    assert words in str(caught.value)
    assert caught.value.path == str(path)
    assert peak < 2 << 20
    if story.startswith(NAMES_TENSOR) or " axes" in story:
        assert caught.value.tensor is not None
    if not story.startswith(("alignment", "split", "name of 128")):
        assert caught.value.offset is not None


@pytest.mark.parametrize("story", ["2^64-1 tensors", "string of 2^62 bytes", "array of 2^61 strings", "alignment 0"])
def test_version_1_and_big_endian_too(tmp_path, story):
    made = {
        "2^64-1 tensors": lambda b: b.file(n_tensors=(1 << 32) - 1),
        "string of 2^62 bytes": lambda b: b.file([b.text("k") + b.pack("I", STR) + b.length((1 << 32) - 1) + DATA]),
        "array of 2^61 strings": lambda b: b.file([b.text("k") + b.pack("II", ARRAY, STR) + b.length(1 << 30) + DATA]),
        "alignment 0": lambda b: b.file([b.entry("general.alignment", 4, 0)], [Info("w", (8,))], DATA),
    }[story]
    for build in (Build(1), Build(1, ">"), Build(2), Build(3, ">")):
        (tmp_path / "bad.gguf").write_bytes(made(build))
        with pytest.raises((DamagedFileError, InvalidFileError)):
            read(tmp_path / "bad.gguf")


def whole(order="<", version=3):
    b = Build(version, order)
    entries = [
        b.entry("general.architecture", STR, "llama"), b.entry("n", 4, 9), b.entry("general.alignment", 4, 32),
        b.entry("t", ARRAY, (STR, ["a", "bc", ""])), b.entry("i", ARRAY, (5, [1, 2])), b.entry("b", 7, True),
        b.entry("d", ARRAY, (ARRAY, [(4, [1]), (STR, ["x"])])),
    ]  # fmt: skip
    infos = [Info("first.weight", (32, 2), 2), Info("second", (3, 2, 2), 0, 64), Info("third", (5,), 30, 128)]
    raw = b.file(entries, infos, bytes(range(144)))
    return raw, len(raw) - 144


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("order", "<>")
def test_cut_at_every_byte(tmp_path, order, version):
    raw, header = whole(order, version)
    path = tmp_path / "cut.gguf"
    for length in range(len(raw)):
        path.write_bytes(raw[:length])
        if length <= header - 32:
            with pytest.raises((DamagedFileError, InvalidFileError)) as caught:
                read(path)
            assert caught.value.path == str(path)
            assert caught.value.offset is not None
        elif length >= header:  # the tensor list is whole: it can be shown
            codes = [n.code for n in read(path).notes]
            assert "truncated" in codes or length >= header + 138


@pytest.mark.parametrize("order", "<>")
def test_one_flipped_bit(tmp_path, order):
    raw, header = whole(order)
    path = tmp_path / "flipped.gguf"
    for at in range(header):
        for bit in range(8):
            changed = bytearray(raw)
            changed[at] ^= 1 << bit
            path.write_bytes(changed)
            looked_at(path)


def looked_at(path):
    """Read, decode every value, describe what could be written: only errors of our own may come out."""
    try:
        got = read(path)
        for _, found in got.metadata.entries():
            if not isinstance(found.value, (str, int, float)):
                list(found.value)
        list(FORMAT.losses(got))
        for tensor in got.tensors.values():
            extents = getattr(tensor.data, "extents", ())
            assert all(e.offset >= 0 and e.offset + e.length <= path.stat().st_size for e in extents)
    except ModelFileError:
        pass


def test_random_changes(tmp_path):
    raw, header = whole()
    random.seed(7)
    path = tmp_path / "random.gguf"
    for _ in range(3000):
        changed = bytearray(raw)
        for _ in range(random.randint(1, 6)):
            at = random.randrange(header)
            width = random.choice((1, 2, 4, 8))
            value = random.choice((0, 1, 255, 1 << 31, (1 << 64) - 1, random.getrandbits(64)))
            changed[at : at + width] = (value & ((1 << 8 * width) - 1)).to_bytes(width, "little")
        path.write_bytes(changed)
        looked_at(path)


def test_limits(tmp_path):
    path = tmp_path / "a.gguf"
    infos = [Info(f"t{i}", (8,), 0, 32 * i) for i in range(3)]
    path.write_bytes(B.file([entry("k", ARRAY, (0, bytes(5000)))], infos, bytes(96)))
    for limits, words in ((Limits(header=1000), "header"), (Limits(tensors=2), "tensors")):
        with pytest.raises(LimitError, match=words) as caught:
            FORMAT.read(LocalFiles(str(path)), limits)
        assert "--limit" in caught.value.hint
