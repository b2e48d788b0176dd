"""The tiny models of tests/families under their plain name."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "families")]
