"""Which library is used, and what happens without one."""

from __future__ import annotations

import pytest

from modelglot.core.errors import UnsupportedError
from modelglot.kernels import native


def test_status_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("MODELGLOT_NATIVE", "0")
    assert native.status() == native.Status(None, "switched off by `MODELGLOT_NATIVE=0`")
    assert native.library() is None
    monkeypatch.setenv("MODELGLOT_NATIVE", "sse9")
    with pytest.raises(UnsupportedError, match="`MODELGLOT_NATIVE` is `sse9`"):
        native.library()
    assert native.status().level is None


def test_without_a_compiled_library(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.delenv("MODELGLOT_NATIVE", raising=False)
    monkeypatch.setattr(native, "FOLDER", tmp_path)
    native._choose.cache_clear()
    try:
        assert native.library() is None
        assert "without a C++ compiler" in native.status().why
        (tmp_path / "kernels_baseline.so").write_bytes(b"not a library")
        native._choose.cache_clear()
        assert "do not load" in native.status().why
        monkeypatch.setenv("MODELGLOT_NATIVE", "avx2")
        with pytest.raises(UnsupportedError, match="cannot be used here"):
            native.library()
    finally:
        native._choose.cache_clear()
