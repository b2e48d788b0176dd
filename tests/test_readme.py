"""The README says what the code says."""

from __future__ import annotations

from pathlib import Path

from modelglot.cli.listing import markdown_table

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- formats -->\n", "<!-- /formats -->"


def test_the_table_of_formats_is_generated() -> None:
    """To write it anew: ``modelglot formats --markdown`` between the two comments."""
    text = README.read_text()
    assert text[text.index(BEGIN) + len(BEGIN) : text.index(END)] == markdown_table()


def test_every_format_has_its_page() -> None:
    from modelglot.cli.listing import rows

    pages = {p.stem for p in (README.parent / "docs" / "formats").glob("*.md")}
    assert {info.name for info in rows()} <= pages
