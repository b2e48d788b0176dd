"""LSTM, GRU and plain recurrent layers: gates in ONNX's order, directions as its first axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelglot.core.errors import UnsupportedError
from modelglot.core.tensor import Tensor
from modelglot.core.views import joined, part, reshaped
from modelglot.graphs.torchscript.kit import Kit
from modelglot.graphs.torchscript.operators.table import Table

TABLE = Table()
_GATES = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2), "RNN": (0,)}  # PyTorch: i f c o, r z n; ONNX: i o f c, z r n


def _ordered(g: Kit, value: Any, gates: Sequence[int]) -> Any:
    """Blocks of rows in another order, with an axis of size 1 in front: a weight stays in its file."""
    tensor = g.tensor_of(value)
    if tensor is not None:
        return g.weight(_turned(tensor, gates))
    parts = g.op("Split", value, outputs=len(gates), axis=0, num_outputs=len(gates)) if len(gates) > 1 else [value]
    return g.unsqueeze(g.op("Concat", *(parts[i] for i in gates), axis=0), [0])


def _turned(tensor: Tensor, gates: Sequence[int]) -> Tensor:
    name = f"{tensor.name}.onnx"
    size = tensor.shape[0] // len(gates)
    whole = tensor
    if len(gates) > 1:
        blocks = [part(tensor, i * size, (i + 1) * size) for i in gates]
        whole = joined(blocks, tensor.shape)
    made = reshaped(whole, (1, *tensor.shape))
    return Tensor(name, made.dtype, made.shape, made.data, made.encoding)


def _side_by_side(g: Kit, values: Sequence[Any]) -> Any:
    return values[0] if len(values) == 1 else g.op("Concat", *values, axis=0)


def _layer(
    g: Kit, kind: str, x: Any, weights: Sequence[Sequence[Any]], states: Sequence[Any], *, activation: str | None = None
) -> list[Any]:
    """One layer of one or two directions. ``x`` is (time, batch, size), states (directions, batch, hidden)."""
    gates = _GATES[kind]
    inner = [_side_by_side(g, [_ordered(g, w[i], gates) for w in weights]) for i in (0, 1)]
    bias = None
    if len(weights[0]) > 2:
        each = [g.op("Concat", *(_ordered(g, w[i], gates) for i in (2, 3)), axis=1) for w in weights]
        bias = _side_by_side(g, each)
    hidden = g.int_of(g.size(weights[0][1], 1), "the hidden size")
    g.fits(x, 2, g.dims(weights[0][0])[1], f"the {kind}")
    two = len(weights) == 2
    more: dict[str, Any] = {"hidden_size": hidden, "direction": "bidirectional" if two else "forward"}
    if kind == "GRU":
        more["linear_before_reset"] = 1
    if activation is not None:
        more["activations"] = [activation] * len(weights)
    return list(g.op(kind, x, *inner, bias, None, *states, outputs=3 if kind == "LSTM" else 2, **more))


def _run(
    g: Kit, kind: str, x: Any, states: Sequence[Any], flat: Sequence[Any], biases: bool, layers: int,
    bidirectional: bool, batch_first: bool, activation: str | None = None,
) -> tuple[Any, ...]:  # fmt: skip
    directions, step = 2 if bidirectional else 1, 4 if biases else 2
    if len(flat) != layers * directions * step:
        raise UnsupportedError(f"`{kind}` with {len(flat)} weights (projections have no form in ONNX)")
    x = g.transpose(x, [1, 0, 2]) if batch_first else x
    batch = g.size(x, 1)
    ends: list[list[Any]] = [[] for _ in states]
    for layer in range(layers):
        at = layer * directions * step
        weights = [flat[at + d * step : at + (d + 1) * step] for d in range(directions)]
        own = [_rows(g, s, layer, layers, directions) for s in states]
        made, *last = _layer(g, kind, x, weights, own, activation=activation)
        hidden = g.size(weights[0][1], 1)
        if directions == 2:
            x = g.reshape(g.transpose(made, [0, 2, 1, 3]), [g.size(x, 0), batch, 2 * g.int_of(hidden, "hidden size")])
        else:
            x = g.squeeze(made, [1])
        for end, value in zip(ends, last, strict=True):
            end.append(value)
    x = g.transpose(x, [1, 0, 2]) if batch_first else x
    return (x, *(_side_by_side(g, end) for end in ends))


def _rows(g: Kit, state: Any, layer: int, layers: int, directions: int) -> Any:
    return state if layers == 1 else g.slice(state, 0, layer * directions, (layer + 1) * directions)


@TABLE("lstm")
def lstm(
    g: Kit, x: Any, hx: Any, params: Any, has_biases: Any, num_layers: int, dropout: Any, train: Any,
    bidirectional: bool, batch_first: bool = False,
) -> Any:  # fmt: skip
    if not isinstance(hx, (list, tuple)):
        raise UnsupportedError("an LSTM over a packed sequence")
    return _run(g, "LSTM", x, hx, params, has_biases, num_layers, bidirectional, batch_first)


def _single(kind: str, activation: str | None = None) -> Any:
    def made(
        g: Kit, x: Any, hx: Any, params: Any, has_biases: Any, num_layers: Any, dropout: Any, train: Any,
        bidirectional: Any, batch_first: Any = False,
    ) -> Any:  # fmt: skip
        if isinstance(params, g.ir.Value):
            raise UnsupportedError(f"{kind} over a packed sequence")
        return _run(g, kind, x, [hx], params, has_biases, num_layers, bidirectional, batch_first, activation)

    return made


TABLE["gru"] = _single("GRU")
TABLE["rnn_tanh"], TABLE["rnn_relu"] = _single("RNN", "Tanh"), _single("RNN", "Relu")


def _cell(
    g: Kit, kind: str, x: Any, states: Sequence[Any], weights: Sequence[Any], activation: str | None = None
) -> list[Any]:
    """One step: a sequence of length 1."""
    kept = [w for w in weights if w is not None]
    made = _layer(g, kind, g.unsqueeze(x, [0]), [kept], [g.unsqueeze(s, [0]) for s in states], activation=activation)
    return [g.squeeze(v, [0]) for v in made[1:]]


@TABLE("lstm_cell")
def lstm_cell(g: Kit, x: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Any:
    return tuple(_cell(g, "LSTM", x, hx, (w_ih, w_hh, b_ih, b_hh)))


@TABLE("gru_cell")
def gru_cell(g: Kit, x: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Any:
    return _cell(g, "GRU", x, [hx], (w_ih, w_hh, b_ih, b_hh))[0]


for _activation in ("Tanh", "Relu"):
    TABLE[f"rnn_{_activation.lower()}_cell"] = lambda g, x, hx, *weights, kind=_activation: _cell(
        g, "RNN", x, [hx], weights, kind
    )[0]
