"""libhdf5 runs in a process of its own: what that one does on a hostile file, and what it may ask for."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import modelglot as mg
from modelglot.containers.hdf5 import described as module
from modelglot.core.errors import DamagedFileError

CRASH = "import os; os.abort()"
SILENT = "pass"
OUTSIDE = """
import struct, sys
sys.stdout.buffer.write(b"R" + struct.pack("<QQ", 0, 1 << 40)); sys.stdout.buffer.flush(); sys.stdin.buffer.read()
"""
CUT = "import struct, sys; sys.stdout.buffer.write(b'D' + struct.pack('<Q', 1000) + b'{')"
NO_MAP = "import struct, sys; sys.stdout.buffer.write(b'D' + struct.pack('<Q', 2) + b'[]')"


@pytest.mark.parametrize("program", [CRASH, SILENT, OUTSIDE, CUT, NO_MAP])
def test_its_end_is_an_error_about_the_file(program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.weights.h5"
    mg.save({"w": np.arange(6, dtype=np.float32)}, path)
    (tmp_path / "child.py").write_text(program)
    monkeypatch.setattr(module, "_CHILD", tmp_path / "child.py")
    with pytest.raises(DamagedFileError, match="crashed on it") as caught:
        mg.open(path)
    assert caught.value.path == str(path)


def test_this_process_does_not_load_the_library(tmp_path: Path) -> None:
    """Reading alone: writing uses h5py here, on names and shapes that were checked."""
    import subprocess

    path = tmp_path / "a.weights.h5"
    mg.save({"w": np.arange(6, dtype=np.float32)}, path)
    code = f"import sys, modelglot as mg; assert mg.load({str(path)!r})['w'][5] == 5; assert 'h5py' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(sys.platform == "win32", reason="no limits for processes")
def test_it_gets_no_more_memory_than_a_description_needs() -> None:
    import subprocess

    from modelglot.containers.hdf5 import child

    code = f"import runpy; c = runpy.run_path({child.__file__!r}); c['limited'](); bytearray(8 << 30)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MemoryError" in ended.stderr
