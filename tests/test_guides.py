"""Figures in the guides are those of the code."""

from __future__ import annotations

from pathlib import Path

from modelglot.core.encoding import BLOCKS
from modelglot.families.registry import families

GUIDE = (Path(__file__).parents[1] / "docs/guides/gguf.md").read_text()


def rows(marker: str) -> list[list[str]]:
    table = GUIDE.split(f"<!-- {marker} -->\n")[1].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in table]


def test_bits_a_weight() -> None:
    found = {name: (float(bits), int(count)) for name, bits, count, _ in rows("types")}
    expected = {n: (b.bits_per_weight, b.elements) for n, b in BLOCKS.items() if n not in ("q8_1", "q8_k")}
    assert found == expected | {"f32": (32, 1), "f16": (16, 1), "bf16": (16, 1)}


def test_families() -> None:
    assert [row[0] for row in rows("families")] == [f.name for f in families()]
