"""Darknet files that lie: each row the expected error; sizes are followed in numbers, never allocated."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelglot.core.errors import (
    DamagedFileError,
    InvalidFileError,
    LimitError,
    ModelFileError,
    UnsupportedError,
)
from modelglot.core.limits import Limits
from modelglot.formats.darknet import FORMAT
from modelglot.testing.refusal import refused

NET = "[net]\nwidth=4\nheight=4\nchannels=2\n"
CONV = "[convolutional]\nfilters=3\nsize=1\n"
HEADER = bytes((0, 0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0)) + bytes(8)
WHOLE = HEADER + bytes(36)
BIG = "9" * 5000

ROWS: dict[str, tuple[str, bytes, type[ModelFileError], str]] = {
    "no configuration": ("", WHOLE, InvalidFileError, "[net]"),
    "no network first": (CONV, WHOLE, InvalidFileError, "[net]"),
    "words": ("hello", WHOLE, InvalidFileError, "line 1"),
    "a line that is nothing": (NET + CONV + "filters 3\n", WHOLE, InvalidFileError, "line 8"),
    "an unknown layer": (NET + "[quantum]\n", WHOLE, UnsupportedError, "`quantum`"),
    "shortcuts with weights": (NET + CONV + "[shortcut]\nfrom=-1\nweights_type=per_layer\n", WHOLE, UnsupportedError,
                               "weights"),
    "a number of 5,000 digits": (NET + f"[convolutional]\nfilters={BIG}\n", WHOLE, InvalidFileError, "no size"),
    "2^30 filters": (NET + f"[convolutional]\nfilters={1 << 30}\n", WHOLE, InvalidFileError, "no size"),
    "no filters": (NET + "[convolutional]\nfilters=0\n", WHOLE, InvalidFileError, "not above zero"),
    "a stride of zero": (NET + "[convolutional]\nstride=0\n", WHOLE, InvalidFileError, "not above zero"),
    "a stride of zero in pooling": (NET + "[maxpool]\nstride=0\n", WHOLE, InvalidFileError, "not above zero"),
    "groups that do not divide": (NET + CONV + "groups=5\n", WHOLE, InvalidFileError, "5 groups"),
    "sizes below zero": (NET + "[convolutional]\nsize=90\n", WHOLE, InvalidFileError, "would make"),
    "sizes that grow": (NET + "[upsample]\nstride=9000000\n" * 3, WHOLE, InvalidFileError, "would make"),
    "a route to nowhere": (NET + "[route]\nlayers=-1\n", WHOLE, InvalidFileError, "not there"),
    "a route ahead": (NET + CONV + "[route]\nlayers=7\n", WHOLE, InvalidFileError, "not there"),
    "a route of nothing": (NET + CONV + "[route]\n", WHOLE, InvalidFileError, "no layer"),
    "weights of two bytes": (NET + CONV, b"ab", DamagedFileError, "too short"),
    "a header that ends": (NET + CONV, HEADER[:17], DamagedFileError, "header"),
    "a version below zero": (NET + CONV, b"\xff" * 20 + bytes(36), InvalidFileError, "version"),
    "weights that end inside a layer": (NET + CONV, WHOLE[:-4], DamagedFileError, "after the end"),
    "weights of another network": (NET + CONV, WHOLE + bytes(4), InvalidFileError, "4 bytes follow"),
    "a million sections": (NET + "[dropout]\n" * 1000, WHOLE, LimitError, "sections"),
}  # fmt: skip


@pytest.mark.parametrize(("configuration", "weights", "error", "text"), ROWS.values(), ids=ROWS)
def test_is_refused(configuration: str, weights: bytes, error: type[ModelFileError], text: str, tmp_path: Path) -> None:
    (tmp_path / "m.cfg").write_text(configuration)
    (tmp_path / "m.weights").write_bytes(weights)
    refused(FORMAT, tmp_path / "m.weights", error, text, Limits(tensors=900))
