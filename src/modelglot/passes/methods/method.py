"""What a quantization method is to a pass: a group of tensors that becomes one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from modelglot.core.tensor import Tensor

Group = Mapping[str, Tensor]  # suffix -> tensor of one weight
Config = Mapping[str, Any]  # `quantization_config` of config.json; empty where there is none


@dataclass(frozen=True, slots=True)
class Decoded:
    """The plain weight: its shape, and what its kernel has to know."""

    shape: tuple[int, ...]
    params: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Method:
    """``main`` is the suffix that makes a group, ``needed`` and ``optional`` are the others of the same module.

    ``weight`` is the suffix of the result. ``recognise`` gives None where the group is another method's.
    """

    name: str
    title: str
    main: str
    needed: tuple[str, ...]
    optional: tuple[str, ...]
    kernel: str
    recognise: Callable[[Group, Config], Decoded | None]
    weight: str = "weight"
