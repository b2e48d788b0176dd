"""The tiny models of tests/families, and what lies here, under their plain names."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "families"), str(Path(__file__).parent)]
