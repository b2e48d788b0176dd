"""OpenVINO files that lie: each row the expected error; nothing grows, is fetched or opened that the file has not."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelglot.core.errors import DamagedFileError, InvalidFileError, LimitError, ModelFileError, UnsafeContentError
from modelglot.core.limits import Limits
from modelglot.formats.openvino import FORMAT
from modelglot.sources.file import LocalFiles
from modelglot.testing.refusal import refused


def net(inside: str, before: str = "") -> str:
    return f'<?xml version="1.0"?>{before}<net name="m" version="11"><layers>{inside}</layers></net>'


def const(**attributes: str) -> str:
    given = {"element_type": "f32", "shape": "2", "offset": "0", "size": "8"} | attributes
    text = " ".join(f'{key}="{value}"' for key, value in given.items())
    return f'<layer id="0" name="w" type="Const"><data {text}/></layer>'


def bodies(depth: int) -> str:
    inside = ""
    for _ in range(depth):
        inside = f'<layer id="0" name="l" type="Loop"><body><layers>{inside}</layers></body></layer>'
    return net(inside)


LAUGHS = '<!DOCTYPE net [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>'
FETCHES = '<!DOCTYPE net [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
ROWS: dict[str, tuple[str, type[ModelFileError], str]] = {
    "no XML": ("<net ", InvalidFileError, "not valid"),
    "cut off": (net(const())[:-9], InvalidFileError, "not valid"),
    "another element": ("<project/>", InvalidFileError, "`project`"),
    "entities that grow": (net("&c;", LAUGHS), UnsafeContentError, "document type"),
    "an entity that fetches": (net("&x;", FETCHES), UnsafeContentError, "document type"),
    "a document type elsewhere": (net("", '<!DOCTYPE net SYSTEM "http://example.invalid/net.dtd">'), UnsafeContentError,
                                  "document type"),
    "an entity nobody knows": (net("&x;"), InvalidFileError, "not valid"),
    "ten thousand levels": ("<net><a>" + "<a>" * 10_000 + "</a>" * 10_001 + "</net>", LimitError, "levels"),
    "graphs in graphs": (bodies(200), LimitError, "levels"),
    "an unknown type": (net(const(element_type="f33")), InvalidFileError, "`f33`"),
    "a negative size": (net(const(shape="-2")), InvalidFileError, "`-2`"),
    "a shape of words": (net(const(shape="2, ?")), InvalidFileError, "list of sizes"),
    "a hundred axes": (net(const(shape=",".join(["1"] * 100))), InvalidFileError, "list of sizes"),
    "2^120 elements": (net(const(shape=f"{1 << 60}, {1 << 60}")), InvalidFileError, "needs"),
    "a number of 5,000 digits": (net(const(offset="9" * 5000)), InvalidFileError, "not a number"),
    "a negative offset": (net(const(offset="-8")), InvalidFileError, "not a number"),
    "an offset in other digits": (net(const(offset="\u0663")), InvalidFileError, "not a number"),
    "data past the end": (net(const(offset="4")), DamagedFileError, "after the end"),
    "data of another length": (net(const(size="4")), InvalidFileError, "4 bytes"),
    "a name of 100 kB": (net(const().replace('"w"', f'"{"n" * 100_000}"')), LimitError, "name"),
    "blobs of half numbers": (net('<layer id="0" name="c" type="C" precision="FP32"><blobs><w offset="0" size="7"/>'
                                  "</blobs></layer>"), InvalidFileError, "7 bytes"),
    "blobs of an unknown type": (net('<layer id="0" name="c" type="C" precision="Q"><blobs><w offset="0" size="8"/>'
                                     "</blobs></layer>"), InvalidFileError, "precision `Q`"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "error", "words"), ROWS.values(), ids=ROWS)
def test_is_refused(text: str, error: type[ModelFileError], words: str, tmp_path: Path) -> None:
    path = tmp_path / "m.xml"
    path.write_text(text, encoding="utf-8")
    (tmp_path / "m.bin").write_bytes(bytes(8))
    refused(FORMAT, path, error, words)


def test_edges_to_nowhere_and_conversions_in_a_circle_say_nothing(tmp_path: Path) -> None:
    edges = "".join(
        f'<edge from-layer="{a}" from-port="0" to-layer="{b}" to-port="{p}"/>'
        for a, b, p in ((7, 1, 1), (1, 9, 0), (2, 2, 0), (2, 1, 1), (0, 1, "x"), (0, 1, "9" * 4000))
    )
    layers = const() + "".join(
        f'<layer id="{n}" name="l{n}" type="{kind}"/>' for n, kind in ((1, "Convolution"), (2, "Convert"))
    )
    path = tmp_path / "m.xml"
    path.write_text(net(layers).replace("</layers>", f"</layers><edges>{edges}</edges>"))
    (tmp_path / "m.bin").write_bytes(bytes(8))
    assert dict(FORMAT.read(LocalFiles(str(path)), Limits()).tensors["w"].extra) == {}
