"""A corpus to begin with: ``python -m fuzz.seeds FORMAT FOLDER``.

Small files written by this program, the small ones among the real files where `make real` has brought them, and what
the tests of the format leave behind.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import numpy as np

import modelglot
from fuzz import FOLDERS
from fuzz.memory import pack
from modelglot.api.reading import detect
from modelglot.core.errors import ModelFileError
from modelglot.formats import registry

MOST = 65_536
STATES = (
    {"w": np.arange(12, dtype="f4").reshape(3, 4)},
    {"a.weight": np.ones((2, 2), "f2"), "a.bias": np.zeros(2, "i8"), "n": np.array(3)},
)


def main() -> None:
    name, corpus = sys.argv[1], Path(sys.argv[2])
    real = Path.home() / ".cache/modelglot/real_models"
    with tempfile.TemporaryDirectory() as place:
        _write(name, Path(place))
        _run_tests(name, Path(place) / "tests")
        for data in (*_found(name, Path(place)), *_found(name, real)):
            (corpus / sha256(data).hexdigest()[:16]).write_bytes(data)


def _write(name: str, folder: Path) -> None:
    format = registry.get(name)
    suffix = format.info.suffixes[0] if format.info.suffixes else ""
    for number, state in enumerate(STATES):
        try:
            modelglot.save(state, folder / f"written{number}" / f"m{suffix}", to=name)
        except ModelFileError:
            return  # read only


def _run_tests(name: str, folder: Path) -> None:
    tests = "oracle/test_megatron" if name == "megatron" else "formats/test_" + name.replace("-", "_")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--basetemp", str(folder)]
    subprocess.run([*command, f"tests/{tests}.py"], capture_output=True, check=False)


def _found(name: str, place: Path) -> Iterator[bytes]:
    """Whatever is that format, packed as `fuzz.one` reads it."""
    wanted = Path.is_dir if name in FOLDERS else Path.is_file
    for path in (p for p in place.rglob("*") if wanted(p)):
        files = [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path]
        if sum(p.stat().st_size for p in files) > MOST or not files:
            continue
        try:
            format, _ = detect(str(path))
        except ModelFileError:
            continue
        if format.info.name == name:
            yield (
                pack({str(p.relative_to(path)): p.read_bytes() for p in files}) if path.is_dir() else path.read_bytes()
            )


if __name__ == "__main__":
    main()
