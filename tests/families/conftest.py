"""Modules of this folder under their plain names: the recorder runs outside pytest and shares them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
