"""The tree of tensor names: what people number, and names made to mislead."""

from __future__ import annotations

import pytest

from modelglot.core.dtype import DTYPES
from modelglot.core.tensor import Inline, Tensor
from modelglot.features.inspect.tree import build


def labels(*names: str) -> list[str]:
    tensors = {name: Tensor(name, DTYPES["f32"], (1,), Inline(bytes(4))) for name in names}
    return [child.label for child in build(tensors).children]


def test_numbered_siblings_are_one_line() -> None:
    assert labels("0.w", "1.w", "2.w") == ["{0..2}.w"]


@pytest.mark.parametrize("numbers", [("²", "³"), ("9" * 5000, "8" * 5000), ("①", "②")])
def test_digits_that_are_no_index_are_names(numbers: tuple[str, str]) -> None:
    assert len(labels(*(f"{n}.w" for n in numbers))) >= 1
