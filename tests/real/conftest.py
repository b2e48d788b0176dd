"""The real files must be there: `make real` brings them. A missing file is a failure, not a skip."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
