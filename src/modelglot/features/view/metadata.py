"""One value of the metadata, whole; of an array a part."""

from __future__ import annotations

from typing import Any

from modelglot.core.metadata import Metadata, is_array
from modelglot.features.view.columns import shown

MOST = 1 << 20  # characters of a text


def value_of(metadata: Metadata, key: str, start: int, count: int, search: str) -> dict[str, Any]:
    """Raises KeyError where there is no such key."""
    entry = metadata.entry(key)
    value = entry.value
    if not is_array(value):
        return {"key": shown(key), "type": entry.type, "value": _plain(value)}
    wanted = search.casefold()
    places = range(len(value)) if not wanted else [i for i in range(len(value)) if wanted in str(value[i]).casefold()]
    rows = [[i, _plain(value[i])] for i in places[start : start + count]]
    return {
        "key": shown(key), "type": entry.type, "length": len(value), "found": len(places), "from": start,
        "values": rows,
    }  # fmt: skip


def _plain(value: Any) -> Any:
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value if abs(value) < 1 << 53 else str(value)
    if isinstance(value, float):
        return value if value - value == 0 else str(value)
    if isinstance(value, dict):
        return {shown(str(k)): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, bytes):
        return value[:4096].hex(" ")
    return shown(str(value))[:MOST]
