"""A document as one line of JSON that any parser takes."""

from __future__ import annotations

import json
from typing import Any


def json_text(document: Any) -> str:
    """Infinities and NaN become null, and names that are no Unicode their replacement."""
    try:
        text = _dumps(document)
    except ValueError:  # JSON has no such numbers
        text = _dumps(_finite(document))
    return text.encode("utf-8", "replace").decode()


def _dumps(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and value - value != 0 else value
