"""Figures in the guides are those of the code."""

from __future__ import annotations

from pathlib import Path

from modelglot.core.encoding import BLOCKS
from modelglot.families.registry import families
from modelglot.graphs.language.shape import TRAITS

GUIDES = Path(__file__).parents[1] / "docs/guides"


def rows(marker: str, guide: str = "gguf.md") -> list[list[str]]:
    table = (GUIDES / guide).read_text().split(f"<!-- {marker} -->\n")[1].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in table]


def test_bits_a_weight() -> None:
    found = {name: (float(bits), int(count)) for name, bits, count, _ in rows("types")}
    expected = {n: (b.bits_per_weight, b.elements) for n, b in BLOCKS.items() if n not in ("q8_1", "q8_k")}
    assert found == expected | {"f32": (32, 1), "f16": (16, 1), "bf16": (16, 1)}


def test_families() -> None:
    assert [row[0] for row in rows("families")] == [f.name for f in families()]


def test_families_with_graphs() -> None:
    assert [row[0] for row in rows("families", "onnx-language.md")] == list(TRAITS)


def test_queries_of_the_registry_run(tmp_path: Path) -> None:
    import numpy as np
    import pytest

    import modelglot
    from modelglot.features.catalog.row import COLUMNS

    pytest.importorskip("duckdb")
    from modelglot.api.cataloguing import build_catalog, query_catalog

    guide = (GUIDES / "registry.md").read_text()
    modelglot.save({"w": np.zeros(4, "f4")}, tmp_path / "a.npz")
    build_catalog(tmp_path, tmp_path / "c.parquet")
    queries = [line for line in guide.split("```sql\n")[1].split("```")[0].splitlines() if line.startswith("select")]
    assert len(queries) >= 8
    for query in queries:
        query_catalog(tmp_path / "c.parquet", query)
    described = {name.strip("` ") for line in guide.splitlines() if line.startswith("| `") for name in
                 line.split("|")[1].split(",")}  # fmt: skip
    assert described == set(COLUMNS) - {"stamp", "weights_stamp"}
