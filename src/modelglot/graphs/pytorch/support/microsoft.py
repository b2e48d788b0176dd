"""Products of ONNX Runtime's own, whose inputs are quantized when they run."""

from __future__ import annotations

import torch
from torch import Tensor

from modelglot.graphs.pytorch.support.quant import centred, dynamic_quantize, rows_or_columns


def matmul_integer_to_float(
    a: Tensor,
    b: Tensor,
    a_scale: Tensor,
    b_scale: Tensor,
    a_zero: Tensor | None,
    b_zero: Tensor | None,
    bias: Tensor | None,
) -> Tensor:
    whole = centred(a, rows_or_columns(a_zero, True)) @ centred(b, rows_or_columns(b_zero, False))
    made = whole.float() * (a_scale * b_scale)
    return made if bias is None else made + bias


def dynamic_quantize_matmul(
    a: Tensor, b: Tensor, b_scale: Tensor, b_zero: Tensor | None, bias: Tensor | None
) -> Tensor:
    whole, scale, zero = dynamic_quantize(a)
    return matmul_integer_to_float(whole, b, scale, b_scale, zero, b_zero, bias)


def dynamic_quantize_lstm(
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None,
    h: Tensor | None,
    c: Tensor | None,
    w_scale: Tensor,
    w_zero: Tensor,
    r_scale: Tensor,
    r_zero: Tensor,
    direction: str,
) -> list[Tensor]:
    """Inputs are quantized all at once, states at every step; weights are (directions, inputs, 4 * hidden)."""
    hidden = r.shape[1]
    zero = torch.zeros(w.shape[0], x.shape[1], hidden, dtype=x.dtype, device=x.device)
    ys, hs, cs = [], [], []
    for number in range(w.shape[0]):
        backwards = direction == "reverse" or number == 1
        state, cell = (zero if s is None else s for s in (h, c))
        state, cell = state[number], cell[number]
        total = dynamic_quantize_matmul(x, w[number], w_scale[number], w_zero[number], None)
        if b is not None:
            total = total + sum(b[number].chunk(2))
        rows = [state] * x.shape[0]
        for time in range(x.shape[0] - 1, -1, -1) if backwards else range(x.shape[0]):
            seen = dynamic_quantize_matmul(state, r[number], r_scale[number], r_zero[number], None)
            i, o, f, g = (total[time] + seen).chunk(4, dim=-1)
            cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
            state = torch.sigmoid(o) * torch.tanh(cell)
            rows[time] = state
        ys.append(torch.stack(rows))
        hs.append(state)
        cs.append(cell)
    return [torch.stack(ys, dim=1), torch.stack(hs), torch.stack(cs)]


def unpack_blocks(
    packed: Tensor, scale: Tensor, zero: Tensor | None, rows: int, columns: int, bits: int, block: int
) -> Tensor:
    """Weights of ``MatMulNBits``: (rows, blocks, bytes), the first element in the lowest bits of a byte."""
    each = 8 // bits
    shifts = torch.arange(each, device=packed.device) * bits
    values: Tensor = (packed.reshape(rows, -1, 1).int() >> shifts) & (2**bits - 1)
    values = values.reshape(rows, -1, block).float()
    middle = torch.full((1, 1, 1), 2.0 ** (bits - 1), device=packed.device)
    if zero is not None and zero.dtype == torch.uint8:
        points = ((zero.reshape(rows, -1, 1).int() >> shifts) & (2**bits - 1)).reshape(rows, -1)
        middle = points[:, : values.shape[1]].unsqueeze(-1).float()
    elif zero is not None:
        middle = zero.reshape(rows, -1, 1).float()
    made = (values - middle) * scale.reshape(rows, -1, 1).float()
    return made.reshape(rows, -1)[:, :columns]
