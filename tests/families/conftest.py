"""Modules of this folder under their plain names: the recorder runs outside pytest and shares them."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "real")]
