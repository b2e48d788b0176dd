"""Real files are not called unsafe, and what they need is named."""

import pytest
from fetch import folder

from modelglot.api.scanning import scan

CACHE = folder()
pytestmark = pytest.mark.real


def test_no_real_file_is_unsafe() -> None:
    report = scan(CACHE)
    assert [f.path for f in report.files if f.verdict == "unsafe"] == []
    pickled = [f for f in report.files if f.path.endswith((".pt", ".pth", ".tar", ".jit", ".npy", ".npz", ".pdparams"))]
    needs_code = {f.path.rsplit("/", 1)[-1] for f in pickled if f.verdict != "safe"}
    assert len(pickled) > 20
    assert all("full_hc" in name for name in needs_code)  # a module pickled whole, of onnx2torch's classes


def test_a_whole_module_says_which_code_it_needs() -> None:
    (found,) = scan(next((CACHE / "deeplc-whole-module").rglob("full_hc*.pt"))).files
    assert found.verdict == "unknown"
    assert any("onnx2torch" in f.what for f in found.findings)
    assert any("reduce_graph_module" in f.what for f in found.findings)
