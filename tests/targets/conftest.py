"""Modules of this folder, and the runtimes of the families' tests, under their plain names."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), *(str(Path(__file__).parents[1] / n) for n in ("families", "real"))]
