"""Layers of a Core ML neural network that have weights: in which fields, of what shape, in what order of axes.

A rule gets the numbers of a layer by field and says what each of its fields with weights is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from modelglot.containers.protobuf import VARINT, Field, varints
from modelglot.core.errors import InvalidFileError
from modelglot.core.layer import GROUPS, describe

_MOST = 64  # axes of a shape


class Weight(NamedTuple):
    """``path`` leads to the field; ``shape`` is None where the layer does not say it."""

    path: tuple[int, ...]
    name: str
    shape: tuple[int, ...] | None
    extra: Mapping[str, Any] = {}


Rule = Callable[["_Layer"], Iterator[Weight]]


class _Layer:
    """The numbers of a layer; a field that is not there has its default."""

    def __init__(self, fields: Mapping[int, list[Field]]) -> None:
        self.fields = fields

    def __call__(self, field: int, default: int = 0) -> int:
        found = self.fields.get(field)
        return found[-1].number_value if found else default

    def sizes(self, field: int) -> tuple[int, ...]:
        """Repeated numbers, packed or not."""
        made: list[int] = []
        for part in self.fields.get(field, ()):
            made += [part.number_value] if part.wire == VARINT else islice(varints(part.bytes, part.at), _MOST + 1)
            if len(made) > _MOST:
                raise InvalidFileError(f"more than {_MOST} axes", offset=part.at)
        return tuple(made)


def weights(kind: int, fields: Mapping[int, list[Field]]) -> Iterator[Weight]:
    """Those of a layer; ``kind`` is the field of ``NeuralNetworkLayer`` it is in, ``fields`` what is in it."""
    rule = _RULES.get(kind)
    return rule(_Layer(fields)) if rule else iter(())


def _convolution(n: _Layer) -> Iterator[Weight]:
    out, inner, groups, kernel = n(1), n(2), n(10) or 1, n.sizes(20) or (3, 3)
    if n(60):
        extra = describe("conv-transpose", "kernel", "iohw") | _groups(groups)
        yield Weight((90,), "weights", (inner, out // groups, *kernel), extra)
        yield Weight((91,), "bias", (out,), describe("conv-transpose", "bias"))
        return
    kind, axes = ("depthwise-conv", "o1hw") if groups > 1 and inner == 1 else ("conv", "oihw")
    yield Weight((90,), "weights", (out, inner, *kernel), describe(kind, "kernel", axes) | _groups(groups))
    yield Weight((91,), "bias", (out,), describe(kind, "bias"))


def _groups(count: int) -> dict[str, Any]:
    return {GROUPS: count} if count > 1 else {}


def _convolution3d(n: _Layer) -> Iterator[Weight]:
    out, inner, groups, kernel = n(1), n(2), n(10) or 1, (n(20), n(21), n(22))
    if n(86):
        yield Weight((60,), "weights", (inner, out // groups, *kernel), describe("conv-transpose", "kernel", "iodhw"))
    else:
        yield Weight((60,), "weights", (out, inner // groups, *kernel), describe("conv", "kernel", "oidhw"))
    yield Weight((61,), "bias", (out,), describe("conv", "bias"))


def _product(first: int, second: int, weight: int) -> Rule:
    def rule(n: _Layer) -> Iterator[Weight]:
        yield Weight((weight,), "weights", (n(second), n(first)), describe("dense", "kernel", "oi"))
        yield Weight((weight + 1,), "bias", (n(second),), describe("dense", "bias"))

    return rule


def _embedding(n: _Layer) -> Iterator[Weight]:
    """The table stands with its entries along the last axis."""
    yield Weight((20,), "weights", (n(2), n(1)), describe("embedding", "table", "oi"))
    yield Weight((21,), "bias", (n(2),), describe("embedding", "bias"))


def _batchnorm(n: _Layer) -> Iterator[Weight]:
    for field, name, role in (
        (15, "gamma", "scale"), (16, "beta", "offset"), (17, "mean", "mean"), (18, "variance", "variance"),
    ):  # fmt: skip
        yield Weight((field,), name, (n(1),), describe("batch-norm", role))


def _layernorm(n: _Layer) -> Iterator[Weight]:
    yield Weight((3,), "gamma", n.sizes(1), describe("norm", "scale"))
    yield Weight((4,), "beta", n.sizes(1), describe("norm", "offset"))


def _shaped(*fields: tuple[int, str, int]) -> Rule:
    """(field, name, field of its shape)"""

    def rule(n: _Layer) -> Iterator[Weight]:
        for field, name, shape in fields:
            yield Weight((field,), name, n.sizes(shape))

    return rule


def _recurrent(n: _Layer) -> Iterator[Weight]:
    inner, out = n(1), n(2)
    yield Weight((30,), "weightMatrix", (out, inner), describe("rnn", "kernel", "oi"))
    yield Weight((31,), "recursionMatrix", (out, out), describe("rnn", "recurrent-kernel", "oi"))
    yield Weight((32,), "biasVector", (out,), describe("rnn", "bias"))


def _gru(n: _Layer) -> Iterator[Weight]:
    inner, out = n(1), n(2)
    for place, (name, gate) in enumerate((("update", "z"), ("reset", "r"), ("output", "n"))):
        yield Weight((30 + place,), f"{name}GateWeightMatrix", (out, inner), describe("gru", "kernel", "oi", gate))
        extra = describe("gru", "recurrent-kernel", "oi", gate)
        yield Weight((50 + place,), f"{name}GateRecursionMatrix", (out, out), extra)
        yield Weight((70 + place,), f"{name}GateBiasVector", (out,), describe("gru", "bias", None, gate))


_GATES = (("inputGate", "i"), ("forgetGate", "f"), ("blockInput", "c"), ("outputGate", "o"))


def _lstm(n: _Layer) -> Iterator[Weight]:
    """One set of weights a direction. The places are those of ``LSTMWeightParams``."""
    inner, out = n(1), n(2)
    for place, (name, gate) in enumerate(_GATES):
        yield Weight((20, 1 + place), f"{name}WeightMatrix", (out, inner), describe("lstm", "kernel", "oi", gate))
        extra = describe("lstm", "recurrent-kernel", "oi", gate)
        yield Weight((20, 20 + place), f"{name}RecursionMatrix", (out, out), extra)
        yield Weight((20, 40 + place), f"{name}BiasVector", (out,), describe("lstm", "bias", None, gate))
    for place, (name, gate) in enumerate((_GATES[0], _GATES[1], _GATES[3])):
        yield Weight((20, 60 + place), f"{name}PeepholeVector", (out,), describe("lstm", "other", None, gate))


def _activation(_: _Layer) -> Iterator[Weight]:
    for path, name in (((25, 1), "alpha"), ((71, 1), "alpha"), ((71, 2), "beta")):
        yield Weight(path, name, None)


def _custom(_: _Layer) -> Iterator[Weight]:
    yield Weight((20,), "weights", None)


CUSTOM = 500
_RULES: dict[int, Rule] = {
    100: _convolution, 130: _activation, 140: _product(1, 2, 20), 150: _embedding, 160: _batchnorm,
    245: _shaped((2, "scale", 1), (5, "bias", 4)), 250: _shaped((2, "bias", 1)), 290: _shaped((2, "data", 1)),
    400: _recurrent, 410: _gru, 420: _lstm, 430: _lstm, CUSTOM: _custom, 1040: _embedding, 1045: _product(5, 6, 8),
    1070: _shaped((2, "data", 1)), 1350: _layernorm, 1471: _convolution3d,
}  # fmt: skip
