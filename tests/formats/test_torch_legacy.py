"""PyTorch before 1.6, put together by hand: five pickles and raw storages."""

import struct

import pytest

from modelglot.core.errors import DamagedFileError, InvalidFileError, ModelFileError, UnsupportedError
from modelglot.core.layout import Options
from modelglot.core.limits import Limits
from modelglot.formats import registry
from modelglot.formats.torch_legacy import FORMAT
from modelglot.sources.file import FileProbe, LocalFiles
from modelglot.testing.by_hand import tensor_bytes
from modelglot.testing.conformance import ReaderConformance

MAGIC = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
HEAD = MAGIC + b"\x80\x02M\xe9\x03." + b"\x80\x02}."
PID = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0kX\x03\0\0\0cpuK\x06%btQ"
TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n(%bK%c(K\x02t(K\x01t\x89NtR"
VIEW = b"(X\x01\0\0\0vK%cK%ct"


def legacy(tensors, keys=b"](X\x01\0\0\0ke", data=None):
    body = b"".join(b"X\x01\0\0\0%b%b" % (n.encode(), t) for n, t in tensors.items())
    data = struct.pack("<q6f", 6, *range(6)) if data is None else data
    return HEAD + b"\x80\x02}(" + body + b"u." + b"\x80\x02" + keys + b"." + data


WHOLE = {"a": TENSOR % (PID % b"N", 1), "b": TENSOR % (PID % (VIEW % (2, 4)), 1)}


class TestConformance(ReaderConformance):
    format = "torch-legacy"

    def make(self, folder):
        path = folder / "sample.pth"
        path.write_bytes(legacy(WHOLE))
        return path


def read(path, data):
    path.write_bytes(data)
    return FORMAT.read(LocalFiles(str(path)), Limits())


def test_tensors_and_views(tmp_path):
    model = read(tmp_path / "x", legacy(WHOLE))
    assert tensor_bytes(model, "a") == struct.pack("<2f", 1, 2)
    assert tensor_bytes(model, "b") == struct.pack("<2f", 3, 4)
    assert not model.notes


HOSTILE = {
    "count": (legacy(WHOLE, data=struct.pack("<q6f", 5, *range(6))), InvalidFileError, "20 bytes, but 6 elements"),
    "negative count": (legacy(WHOLE, data=struct.pack("<q", -1)), InvalidFileError, "-1 elements"),
    "huge count": (legacy(WHOLE, data=struct.pack("<q", 1 << 60)), DamagedFileError, "after the end of the file"),
    "cut": (legacy(WHOLE)[:-3], DamagedFileError, "ends 3 bytes after the end"),
    "unknown key": (legacy(WHOLE, keys=b"](X\x01\0\0\0ze"), InvalidFileError, "belongs to no tensor"),
    "no keys": (legacy(WHOLE, keys=b"]"), DamagedFileError, "is not in the file"),
    "view": (legacy({"b": TENSOR % (PID % (VIEW % (4, 4)), 1)}), InvalidFileError, "leaves its storage"),
    "version": (MAGIC + b"\x80\x02K\x01.", InvalidFileError, "version 1"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile(tmp_path, case):
    data, error, text = HOSTILE[case]
    with pytest.raises(error, match=text) as caught:
        read(tmp_path / "x", data)
    assert caught.value.path.endswith("x")
    assert caught.value.offset is not None or caught.value.tensor


def test_bytes_after_the_storages_are_noted(tmp_path):
    assert [n.code for n in read(tmp_path / "x", legacy(WHOLE) + b"zz").notes] == ["trailing"]


def test_truncation_anywhere(tmp_path):
    data = legacy(WHOLE)
    for length in range(len(data)):
        with pytest.raises(ModelFileError):
            read(tmp_path / "x", data[:length])


def test_text_protocols_are_recognised(tmp_path):
    (tmp_path / "x").write_bytes(b"L119547037146038801333356L\n.")
    assert registry.detect(FileProbe(str(tmp_path / "x")))[0] is FORMAT


def test_it_is_not_written(tmp_path):
    with pytest.raises(UnsupportedError):
        FORMAT.layout(read(tmp_path / "x", legacy(WHOLE)), Options())
