""".npy without NumPy: the header's own parser, damaged and hostile headers."""

import contextlib
import struct

import pytest

from modelglot.containers import npy_header
from modelglot.core.errors import DamagedFileError, InvalidFileError, LimitError, ModelFileError, UnsupportedError
from modelglot.core.layout import Options
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.formats.npy import FORMAT
from modelglot.sources.file import FileProbe, LocalFiles
from modelglot.testing.by_hand import tensor_bytes


def npy(text, data=b"", version=1):
    raw = text if isinstance(text, bytes) else text.encode()
    width = 2 if version == 1 else 4
    return b"\x93NUMPY" + bytes((version, 0)) + len(raw).to_bytes(width, "little") + raw + data


def head(descr="'<f4'", fortran="False", shape="(2, 3)"):
    return f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n"


def made(tmp_path, raw, limits=None):
    (tmp_path / "a.npy").write_bytes(raw)
    return FORMAT.read(LocalFiles(str(tmp_path / "a.npy")), limits or Limits())


GOOD = npy(head(), struct.pack("<6f", *range(6)))


@pytest.mark.parametrize(("text", "shape"), [
    (head(), (2, 3)), (head(shape="(2L, 3L)"), (2, 3)), (head(shape="( 2,3 )"), (2, 3)), (head(shape="(6,)"), (6,)),
    (head().rstrip(), (2, 3)), (head().replace("'", '"'), (2, 3)), (head().replace(", }", "}"), (2, 3)),
    (head("u'<f4'"), (2, 3)), (head("b'<f4'"), (2, 3)), (head().replace("\n", " " * 40 + "\n"), (2, 3)),
])  # fmt: skip
def test_spellings(tmp_path, text, shape):
    got = made(tmp_path, npy(text, struct.pack("<6f", *range(6))))
    assert got.tensors["a"].shape == shape
    assert tensor_bytes(got, "a") == struct.pack("<6f", *range(6))


def test_column_major_is_a_view(tmp_path):
    got = made(tmp_path, npy(head(fortran="True"), struct.pack("<6f", 0, 3, 1, 4, 2, 5)))
    assert got.tensors["a"].data.strides == (1, 2)
    assert tensor_bytes(got, "a") == struct.pack("<6f", *range(6))
    assert made(tmp_path, npy(head(fortran="True", shape="(1, 6)"), bytes(24))).tensors["a"].data.strides is None


@pytest.mark.parametrize(("raw", "kind", "words"), [
    (b"\x93NUMP", DamagedFileError, "cut off"),
    (b"\x93NUMPX0000", InvalidFileError, "x93NUMPY"),
    (npy(head(), version=4), UnsupportedError, "version 4"),
    (b"\x93NUMPY\2\0\xff\xff\xff\xff", LimitError, "4,294,967,295"),
    (npy(head())[:40], DamagedFileError, "too late"),
    (npy("{'descr': '<f4'}"), InvalidFileError, "exactly"),
    (npy(head().replace(", }", ", 'x': 1}")), InvalidFileError, "exactly"),
    (npy(head() + "x"), InvalidFileError, "follows the header"),
    (npy("__import__('os').system('x')"), InvalidFileError, "unexpected"),
    (npy(head(shape="(2 ** 3,)")), InvalidFileError, "not valid"),
    (npy(head(shape="(-1,)")), InvalidFileError, "not a tuple of sizes"),
    (npy(head(shape="(True,)")), InvalidFileError, "not a tuple of sizes"),
    (npy(head(shape="[2]")), InvalidFileError, "not a tuple of sizes"),
    (npy(head(shape="(9999999999999999999999999,)")), InvalidFileError, "not a tuple of sizes"),
    (npy(head(shape="(" + "9" * 5000 + ",)")), InvalidFileError, "not valid"),
    (npy(head(shape="(4611686018427387904, 4)")), DamagedFileError, "after the end"),
    (npy(head(shape="(" + "1," * 70 + ")")), InvalidFileError, "70 axes"),
    (npy(head(fortran="1")), InvalidFileError, "fortran_order"),
    (npy(head("'<q9'")), InvalidFileError, "unknown type"),
    (npy(head("'<f4; rm'")), InvalidFileError, "unknown type"),
    (npy(head("3")), InvalidFileError, "`descr`"),
    (npy(head("[('a',)]")), InvalidFileError, "field of a record"),
    (npy(head("[('a', '<f4', (-1,))]")), InvalidFileError, "shape of a field"),
    (npy(head("(" * 40 + ")" * 40)), LimitError, "nested"),
    (npy("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': ()}"), InvalidFileError, "twice"),
    (npy(head().encode() + b"\xff", version=3), InvalidFileError, "UTF-8"),
    (npy(head(), bytes(23)), DamagedFileError, "ends 1 bytes after"),
    (npy(head("'|O'"), b"\x80\4cos\nsystem\n"), DamagedFileError, ""),
    (npy(head("[('a', '<f4'), ('b', 'O')]"), b"garbage"), ModelFileError, ""),
])  # fmt: skip
def test_errors(tmp_path, raw, kind, words):
    with pytest.raises(kind) as caught:
        made(tmp_path, raw)
    assert words in str(caught.value)
    assert caught.value.path.endswith("a.npy")
    assert caught.value.offset is not None


def test_pickled_code_is_inert(tmp_path):
    got = made(tmp_path, npy(head("'|O'", shape="()"), b"cos\nsystem\n(S'touch /tmp/never'\ntR."))
    assert got.tree.global_ == "os.system"
    assert got.tree.role == "called"


def test_truncation_and_flipped_bits(tmp_path):
    for length in range(len(GOOD)):
        with pytest.raises(ModelFileError):
            made(tmp_path, GOOD[:length])
    for at in range(len(GOOD) - 24):
        for bit in range(8):
            changed = bytearray(GOOD)
            changed[at] ^= 1 << bit
            with contextlib.suppress(ModelFileError):
                made(tmp_path, bytes(changed))


def test_trailing_bytes_are_noted(tmp_path):
    assert [n.code for n in made(tmp_path, GOOD + b"x").notes] == ["trailing-bytes"]


def test_sniff_and_no_writer(tmp_path):
    made(tmp_path, GOOD)
    assert FORMAT.sniff(FileProbe(str(tmp_path / "a.npy"))).score == 100
    assert FORMAT.sniff(FileProbe(str(tmp_path))) is None
    with pytest.raises(UnsupportedError, match="npz"):
        FORMAT.layout(Model("x", (), {}), Options())
    with pytest.raises(UnsupportedError, match="folder"):
        FORMAT.read(LocalFiles(str(tmp_path)), Limits())


def test_long_headers_get_version_2():
    text = "[" + ", ".join(f"('field{i}', '<f4')" for i in range(4000)) + "]"
    assert npy_header.render(text, (2,))[6] == 2
