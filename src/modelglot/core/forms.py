"""Quantized blocks taken apart: integer levels, and the numbers that they are multiplied with and moved by.

A weight of every block type is ``level * scale`` or ``level * scale + minimum`` in float32, exactly as ggml computes
it. `FORMS` says which planes of numbers that needs; each is an array with one row a row of the tensor.
"""

from __future__ import annotations

from dataclasses import dataclass

from modelglot.core.encoding import BLOCKS


@dataclass(frozen=True, slots=True)
class Numbers:
    """Planes whose product, as float32, is a scale or a minimum; with ``table``, what its one plane looks up.

    The first plane has a number a block, a second one a number for ``Form.group`` elements, times ``sign``.
    """

    planes: tuple[tuple[str, str], ...]  # (name, dtype)
    sign: int = 1
    table: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """``levels`` is i4, u4, i8 or u8; ``group``: elements that share a scale."""

    levels: str
    group: int
    scale: Numbers
    minimum: Numbers | None = None


def _super(dtype: str) -> Numbers:
    return Numbers((("d", "f16"), ("scales", dtype)))


_D = Numbers((("d", "f16"),))
_M = Numbers((("m", "f16"),))
_LESS = Numbers((("dmin", "f16"), ("minimums", "u8")), -1)
FORMS: dict[str, Form] = {
    "q4_0": Form("i4", 32, _D),
    "q4_1": Form("u4", 32, _D, _M),
    "q5_0": Form("i8", 32, _D),
    "q5_1": Form("u8", 32, _D, _M),
    "q8_0": Form("i8", 32, _D),
    "q2_k": Form("u4", 16, _super("u8"), _LESS),
    "q3_k": Form("i4", 16, _super("i8")),
    "q4_k": Form("u4", 32, _super("u8"), _LESS),
    "q5_k": Form("u8", 32, _super("u8"), _LESS),
    "q6_k": Form("i8", 16, _super("i8")),
    "iq4_nl": Form("i8", 32, _D),
    "iq4_xs": Form("i8", 32, _super("i8")),
    "iq2_xxs": Form("i8", 32, _super("f16")),
    "iq2_xs": Form("i8", 16, _super("f16")),
    "iq2_s": Form("i8", 16, _super("f16")),
    "iq3_xxs": Form("i8", 32, _super("f16")),
    "iq3_s": Form("i8", 32, _super("u8")),
    "iq1_s": Form("i8", 32, _super("f16")),
    "iq1_m": Form("i8", 16, _super("f16")),
    "tq1_0": Form("i4", 256, _D),
    "tq2_0": Form("i4", 256, _D),
    "mxfp4": Form("i8", 32, Numbers((("codes", "u8"),), table="e8m0")),
    "nvfp4": Form("i8", 16, Numbers((("codes", "u8"),), table="ue4m3")),
    "q1_0": Form("i4", 128, _D),
    "q2_0": Form("i4", 64, _D),
}


def each(name: str, numbers: Numbers) -> tuple[int, ...]:
    """Elements of a row that share a number, of each of the planes: 256 and 32."""
    group = FORMS[name].group
    return (group,) if len(numbers.planes) == 1 else (BLOCKS[name].elements, group)
