"""The format that CONTRIBUTING.md walks through keeps the promises it is said to inherit."""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from modelglot.core.dtype import DTYPES
from modelglot.core.errors import DamagedFileError, located
from modelglot.core.format import FormatInfo, Match
from modelglot.core.layout import Layout, OutFile, Piece, Slot
from modelglot.core.model import Model
from modelglot.core.notes import Loss
from modelglot.core.tensor import Extent, Stored, Tensor
from modelglot.formats import registry
from modelglot.testing import FormatConformance

TEXT = (Path(__file__).parent.parent / "CONTRIBUTING.md").read_text()
NAMES = (DTYPES, DamagedFileError, Extent, FormatInfo, Layout, Loss, Match, Model, OutFile, Piece, Slot, Stored, Tensor)


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    code = next(c for c in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL) if "class Toy:" in c)
    module = types.ModuleType("toy_format")
    module.__dict__.update({n.__name__: n for n in NAMES if n is not DTYPES}, DTYPES=DTYPES, located=located)
    exec(compile(code, "CONTRIBUTING.md", "exec"), module.__dict__)  # noqa: S102
    monkeypatch.setitem(sys.modules, "toy_format", module)
    monkeypatch.setitem(registry.BUILTIN, "toy", "toy_format")
    registry.get.cache_clear()
    yield
    registry.get.cache_clear()


class TestToy(FormatConformance):
    format: ClassVar[str] = "toy"

    def state(self) -> dict[str, Any]:
        return {f"v{i}": np.arange(i + 1, dtype=np.float32) for i in range(5)}


def test_the_family_shown_is_the_real_one() -> None:
    from modelglot.families import qwen2

    code = next(c for c in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL) if "FAMILY = Family(" in c)
    found: dict[str, Any] = {}
    exec(compile(code, "CONTRIBUTING.md", "exec"), found)  # noqa: S102
    assert found["FAMILY"] == qwen2.FAMILY


def test_rules_and_keys_shown_are_used() -> None:
    """Each line of the short examples is a rule or a key of a family."""
    from modelglot.families import hyperparameters, registry, transforms
    from modelglot.families.family import Key, rule

    names = {**vars(transforms), **vars(hyperparameters), "rule": rule, "Key": Key}
    families = registry.families()
    known = [*(r for f in families for r in f.rules), *(k for f in families for k in f.keys)]
    shown = [c for c in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL) if c.startswith(("rule(", "Key("))]
    assert len(shown) == 2
    for line in "".join(shown).splitlines():
        assert eval(line, names) in known  # noqa: S307
