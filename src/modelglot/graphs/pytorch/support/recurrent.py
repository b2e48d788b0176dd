"""Recurrent layers with ONNX's weights: ``w`` and ``r`` are (directions, gates * hidden, ...), ``b`` holds both biases.

Results are those of every step (steps, directions, batch, hidden), then the last states (directions, batch, hidden);
with ``batch_first`` the batch comes first in all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Step = Callable[[int, Tensor, Sequence[Tensor]], Sequence[Tensor]]


def lstm(
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None,
    h: Tensor | None,
    c: Tensor | None,
    direction: str = "forward",
    batch_first: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gates in the order i o f c, which is i f c o for torch."""
    x, h, c = initial(x, r, (h, c), batch_first)
    x = x.flip(0) if direction == "reverse" else x
    weights = torch_weights(w, r, b, (0, 2, 3, 1))
    both = direction == "bidirectional"
    y, h, c = torch.lstm(x, (h, c), weights, b is not None, 1, 0.0, False, both, False)
    return by_direction(y, h, direction, batch_first), ordered(h, batch_first), ordered(c, batch_first)


def gru(
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None,
    h: Tensor | None,
    direction: str = "forward",
    batch_first: bool = False,
) -> tuple[Tensor, Tensor]:
    """Gates in the order z r h, which is r z h for torch."""
    x, h = initial(x, r, (h,), batch_first)
    x = x.flip(0) if direction == "reverse" else x
    weights = torch_weights(w, r, b, (1, 0, 2))
    y, h = torch.gru(x, h, weights, b is not None, 1, 0.0, False, direction == "bidirectional", False)
    return by_direction(y, h, direction, batch_first), ordered(h, batch_first)


def rnn(
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None,
    h: Tensor | None,
    direction: str = "forward",
    batch_first: bool = False,
) -> tuple[Tensor, Tensor]:
    x, h = initial(x, r, (h,), batch_first)
    x = x.flip(0) if direction == "reverse" else x
    weights = torch_weights(w, r, b, (0,))
    y, h = torch.rnn_tanh(x, h, weights, b is not None, 1, 0.0, False, direction == "bidirectional", False)
    return by_direction(y, h, direction, batch_first), ordered(h, batch_first)


def initial(x: Tensor, r: Tensor, states: Sequence[Tensor | None], batch_first: bool) -> list[Tensor]:
    """The input with its steps first, and states, zero where there are none."""
    x = x.transpose(0, 1) if batch_first else x
    zero = torch.zeros(r.shape[0], x.shape[1], r.shape[2], dtype=x.dtype, device=x.device)
    found = [zero if s is None else s.transpose(0, 1) if batch_first else s for s in states]
    return [x, *(state.contiguous() for state in found)]


def torch_weights(w: Tensor, r: Tensor, b: Tensor | None, order: Sequence[int]) -> list[Tensor]:
    """The flat list that torch's layers take."""
    made = []
    for number in range(w.shape[0]):
        parts = [w[number], r[number], *(b[number].chunk(2) if b is not None else ())]
        for part in parts:
            gates = part.chunk(len(order))
            made.append(torch.cat([gates[gate] for gate in order]))
    return made


def by_direction(y: Tensor, h: Tensor, direction: str, batch_first: bool) -> Tensor:
    """Results of torch, which has the directions side by side."""
    y = y.flip(0) if direction == "reverse" else y
    y = y.reshape(y.shape[0], y.shape[1], h.shape[0], h.shape[2])
    return y.transpose(0, 1) if batch_first else y.transpose(1, 2)


def ordered(state: Tensor, batch_first: bool) -> Tensor:
    return state.transpose(0, 1) if batch_first else state


def steps(
    x: Tensor,
    lengths: Tensor | None,
    states: Sequence[Tensor],
    direction: str,
    batch_first: bool,
    step: Step,
) -> list[Tensor]:
    """Every step of every direction; behind its length a sequence keeps its state and gives zeros."""
    whole, finals = [], []
    for number in range(states[0].shape[0]):
        now = [state[number] for state in states]
        backwards = direction == "reverse" or number == 1
        rows = [torch.empty(0)] * x.shape[0]
        for time in range(x.shape[0] - 1, -1, -1) if backwards else range(x.shape[0]):
            after = list(step(number, x[time], now))
            rows[time] = after[0]
            if lengths is not None:
                runs = (time < lengths).unsqueeze(1)
                after = [torch.where(runs, new, old) for new, old in zip(after, now)]
                rows[time] = torch.where(runs, rows[time], torch.zeros_like(rows[time]))
            now = after
        whole.append(torch.stack(rows))
        finals.append(now)
    y = torch.stack(whole, dim=1)
    y = y.permute(2, 0, 1, 3) if batch_first else y
    return [y, *(ordered(torch.stack(parts), batch_first) for parts in zip(*finals))]


def lstm_steps(
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None,
    lengths: Tensor | None,
    h: Tensor | None,
    c: Tensor | None,
    direction: str,
    activations: Sequence[Callable[[Tensor], Tensor]],
    clip: float | None = None,
    peephole: Tensor | None = None,
    coupled: bool = False,
    batch_first: bool = False,
) -> list[Tensor]:
    x, h, c = initial(x, r, (h, c), batch_first)

    def step(number: int, now: Tensor, states: Sequence[Tensor]) -> Sequence[Tensor]:
        gate, candidate, output = activations[3 * number : 3 * number + 3]
        before, cell = states
        total = now @ w[number].T + before @ r[number].T
        if b is not None:
            total = total + sum(b[number].chunk(2))
        i, o, f, g = total.chunk(4, dim=-1)
        p_i, p_o, p_f = peephole[number].chunk(3) if peephole is not None else (0.0, 0.0, 0.0)
        i = gate(clipped(i + p_i * cell, clip))
        f = 1 - i if coupled else gate(clipped(f + p_f * cell, clip))
        cell = f * cell + i * candidate(clipped(g, clip))
        o = gate(clipped(o + p_o * cell, clip))
        return o * output(cell), cell

    return steps(x, lengths, (h, c), direction, batch_first, step)


def gru_steps(
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None,
    lengths: Tensor | None,
    h: Tensor | None,
    direction: str,
    activations: Sequence[Callable[[Tensor], Tensor]],
    clip: float | None = None,
    before_reset: bool = False,
    batch_first: bool = False,
) -> list[Tensor]:
    """``before_reset``: the reset gate scales what the state gave, else the state."""
    x, h = initial(x, r, (h,), batch_first)

    def step(number: int, now: Tensor, states: Sequence[Tensor]) -> Sequence[Tensor]:
        gate, candidate = activations[2 * number : 2 * number + 2]
        (before,) = states
        zero = torch.zeros(w.shape[1], dtype=x.dtype, device=x.device)
        own, recurrent = b[number].chunk(2) if b is not None else (zero, zero)
        z, reset, new = (now @ w[number].T + own).chunk(3, dim=-1)
        r_z, r_r, r_n = r[number].chunk(3)
        b_z, b_r, b_n = recurrent.chunk(3)
        z = gate(clipped(z + before @ r_z.T + b_z, clip))
        reset = gate(clipped(reset + before @ r_r.T + b_r, clip))
        seen = reset * (before @ r_n.T + b_n) if before_reset else (reset * before) @ r_n.T + b_n
        new = candidate(clipped(new + seen, clip))
        return ((1 - z) * new + z * before,)

    return steps(x, lengths, (h,), direction, batch_first, step)


def rnn_steps(
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None,
    lengths: Tensor | None,
    h: Tensor | None,
    direction: str,
    activations: Sequence[Callable[[Tensor], Tensor]],
    clip: float | None = None,
    batch_first: bool = False,
) -> list[Tensor]:
    x, h = initial(x, r, (h,), batch_first)

    def step(number: int, now: Tensor, states: Sequence[Tensor]) -> Sequence[Tensor]:
        total = now @ w[number].T + states[0] @ r[number].T
        if b is not None:
            total = total + sum(b[number].chunk(2))
        return (activations[number](clipped(total, clip)),)

    return steps(x, lengths, (h,), direction, batch_first, step)


def clipped(x: Tensor, most: float | None) -> Tensor:
    return x if most is None else x.clamp(-most, most)
