"""What a source says of the layer that a weight belongs to, kept in ``Tensor.extra`` for the pass that changes layouts.

A reader that knows the layer (from a graph, a configuration, an object tree) writes it with `describe`; nobody guesses.

``axes`` has one letter an axis, outermost first: ``o`` outputs, ``i`` inputs (of one group, for convolutions), ``m``
channel multiplier of a depthwise kernel (whose ``i`` are all inputs), ``d`` ``h`` ``w`` depth, height and width of a
kernel, ``n`` directions of a recurrent layer, ``1`` an axis of size one. PyTorch's convolution is ``oihw``, that of
TensorFlow ``hwio``, its depthwise one ``hwim``; a dense kernel is ``oi`` in PyTorch and ``io`` in Keras.

``gates`` is the order of the gates that a recurrent weight holds along ``o``: letters of ``ifco`` (LSTM: input, forget,
cell, output) or ``rzn`` (GRU: reset, update, new).

Kinds: dense, conv, conv-transpose, depthwise-conv, embedding, batch-norm, norm, lstm, gru, rnn, attention, other.
Roles: kernel, recurrent-kernel, bias, recurrent-bias; scale and offset (gamma, beta); mean, variance, counter, factor
(that mean and variance were multiplied by, in Caffe); table, other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

KIND, ROLE, AXES, GATES = "layer:kind", "layer:role", "layer:axes", "layer:gates"
LAYER, WEIGHT = "layer:name", "layer:weight"  # what the source calls the layer, and the weight in it
LEVEL = "layer:level"  # of a recurrent layer in a stack that has one name, from 0
GROUPS = "layer:groups"  # of a convolution, where there are several; of a depthwise one these are its inputs


def describe(kind: str, role: str, axes: str | None = None, gates: str | None = None) -> dict[str, Any]:
    """The entries of ``Tensor.extra`` for a weight: its layer's kind, its role in it."""
    found = {KIND: kind, ROLE: role, AXES: axes, GATES: gates}
    return {key: value for key, value in found.items() if value is not None}


class Use(NamedTuple):
    """What one operator of a graph says of one of its inputs; axes are those of the value as it comes in."""

    input: int
    kind: str
    role: str
    axes: str | None = None
    gates: str | None = None


def agreed(said: Mapping[str, list[dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """What is said of each weight, by name; nothing of one whose uses disagree."""
    return {name: entries[0] for name, entries in said.items() if all(e == entries[0] for e in entries)}
