"""TorchScript archives put together by hand."""

import io
import zipfile

import pytest

from modelglot.core.errors import UnsupportedError
from modelglot.core.limits import Limits
from modelglot.core.tree import Inert, walk
from modelglot.formats import registry
from modelglot.formats.torchscript import FORMAT
from modelglot.sources.file import FileProbe, LocalFiles
from modelglot.testing.by_hand import tensor_bytes
from modelglot.testing.conformance import ReaderConformance

STORAGE = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0%bX\x03\0\0\0cpuK%ctQ"
TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n(" + STORAGE + b"K\0K%c\x85K\x01\x85\x89NtR"
CODE = 'class M(Module):\n  __parameters__ = ["w", ]\n  __buffers__ = []\n  w : Tensor\n  _state : Tensor\n'


def text(value):
    return b"X" + len(value).to_bytes(4, "little") + value.encode()


def scripted(path, method=zipfile.ZIP_DEFLATED):
    body = text("w") + TENSOR % (b"0", 2, 2) + text("_state") + TENSOR % (b"1", 0, 0)
    inner = b"c__torch__\nM\n)\x81}(" + body + b"ub"
    members = {
        "m/data.pkl": b"\x80\x02c__torch__\nOuter\n)\x81}(" + text("sub") + inner + b"ub.",
        "m/data/0": bytes(range(8)), "m/data/1": b"", "m/code/__torch__.py": CODE,
        "m/code/__torch__.py.debug_pkl": b"\x80\x02N.",
        "m/constants.pkl": b"\x80\x02" + TENSOR % (b"0", 1, 1) + b"\x85.",
        "m/constants/0": b"abcd", "m/extra/labels.txt": b"cat", "m/version": b"3\n",
    }  # fmt: skip
    with zipfile.ZipFile(path, "w", method) as made:
        for name, data in members.items():
            made.writestr(name, data)
    return path


class TestConformance(ReaderConformance):
    format = "torchscript"

    def make(self, folder):
        return scripted(folder / "sample.pt", zipfile.ZIP_STORED)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_tensors_constants_and_code(tmp_path, method):
    model = FORMAT.read(LocalFiles(str(scripted(tmp_path / "x.pt", method))), Limits())
    assert list(model.tensors) == ["sub.w", "constants.0"]
    assert tensor_bytes(model, "sub.w") == bytes(range(8))
    assert tensor_bytes(model, "constants.0") == b"abcd"
    assert {s.name: s.what for s in model.sides} == {
        "code/__torch__.py": "TorchScript code, not run",
        "code/__torch__.py.debug_pkl": "TorchScript debug information",
        "extra/labels.txt": "an extra file saved with the module",
    }
    assert [n.code for n in model.notes] == ["empty-attributes", "torchscript-code"]
    assert isinstance(model.tree, Inert)
    assert all(getattr(v, "name", None) != "sub._state" for _, v in walk(model.tree))
    assert not list(FORMAT.hazards(LocalFiles(str(tmp_path / "x.pt")), Limits()))


def test_torch_package_is_named(tmp_path):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for name in ("p/.data/extern_modules", "p/.data/version", "p/model/model.pkl"):
            made.writestr(name, b"")
    (tmp_path / "x.pt").write_bytes(out.getvalue())
    form, match = registry.detect(FileProbe(str(tmp_path / "x.pt")))
    assert (form, match.dialect) == (FORMAT, "package")
    with pytest.raises(UnsupportedError, match=r"torch\.package"):
        FORMAT.read(LocalFiles(str(tmp_path / "x.pt")), Limits())
