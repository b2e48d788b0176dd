"""Small valid files for a corpus, written by this program: ``python -m fuzz.seeds FORMAT FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import modelglot
from modelglot.core.errors import ModelFileError
from modelglot.formats import registry

STATES = (
    {"w": np.arange(12, dtype="f4").reshape(3, 4)},
    {"a.weight": np.ones((2, 2), "f2"), "a.bias": np.zeros(2, "i8"), "n": np.array(3)},
)


def main() -> None:
    name, folder = sys.argv[1], Path(sys.argv[2])
    format = registry.get(name)
    suffix = format.info.suffixes[0] if format.info.suffixes else ".bin"
    real = Path.home() / ".cache/modelglot/real_models"
    for number, state in enumerate(STATES):
        try:
            modelglot.save(state, folder / f"seed{number}{suffix}", to=name)
        except ModelFileError:
            break  # read only: real files serve, where `make real` has brought them
    for file in real.rglob(f"*{suffix}") if real.is_dir() else ():
        if file.stat().st_size < 65_536:
            (folder / file.name).write_bytes(file.read_bytes())


if __name__ == "__main__":
    main()
