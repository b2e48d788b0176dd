"""Attention as ONNX defines it, with caches, masks, windows and fewer heads of keys than of queries."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def heads_first(x: Tensor, count: int) -> Tensor:
    """(batch, steps, heads * size) as (batch, heads, steps, size)."""
    return x if x.ndim == 4 else x.reshape(x.shape[0], x.shape[1], count, -1).transpose(1, 2)


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    past_key: Tensor | None = None,
    past_value: Tensor | None = None,
    valid: Tensor | None = None,
    heads: int = 0,
    kv_heads: int = 0,
    causal: bool = False,
    mode: int = 0,
    left: int = -1,
    right: int = -1,
    scale: float | None = None,
    softcap: float = 0.0,
    precision: torch.dtype | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Results, the keys and values with those of the past, and scores as ``mode`` says.

    ``valid`` counts the keys of each sample that are no padding. Rows whose keys are all masked give zeros.
    """
    q, k, v = heads_first(query, heads), heads_first(key, kv_heads), heads_first(value, kv_heads)
    if past_key is not None and past_value is not None:
        k, v = torch.cat((past_key, k), dim=2), torch.cat((past_value, v), dim=2)
    keys, values = k, v
    before = past_key.shape[2] if past_key is not None else 0
    bias = attention_bias(q, k, mask, valid, before, causal, left, right)
    if k.shape[1] != q.shape[1]:
        k, v = (x.repeat_interleave(q.shape[1] // x.shape[1], dim=1) for x in (k, v))
    root = torch.tensor(math.sqrt(scale if scale is not None else 1 / math.sqrt(q.shape[-1])), dtype=q.dtype)
    root = root.to(q.device)
    scores = (q * root) @ (k * root).transpose(-1, -2)
    shown = scores
    if softcap:
        scores = softcap * torch.tanh(scores / softcap)
        shown = scores if mode == 1 else shown
    scores = scores + bias
    weights = torch.softmax(scores if precision is None else scores.to(precision), dim=-1)
    weights = torch.where(bias.amax(-1, keepdim=True) == -torch.inf, torch.zeros_like(weights), weights).to(q.dtype)
    shown = {1: shown, 2: scores, 3: weights}.get(mode, shown)
    made = weights @ v
    if query.ndim == 3:
        made = made.transpose(1, 2).flatten(2)
    return made, keys, values, shown


def attention_bias(
    q: Tensor,
    k: Tensor,
    mask: Tensor | None,
    valid: Tensor | None,
    before: int,
    causal: bool,
    left: int,
    right: int,
) -> Tensor:
    """What is added to the scores: minus infinity where a query may not see a key. A query stands ``before`` keys
    later than its number, or so that the last one sees the last valid key."""
    steps, size = q.shape[2], k.shape[2]
    place = torch.arange(steps, device=q.device).unsqueeze(1) + before
    if valid is not None:
        place = place + (valid - steps).reshape(-1, 1, 1, 1)
    other = torch.arange(size, device=q.device)
    seen = torch.ones(1, 1, steps, size, dtype=torch.bool, device=q.device)
    if causal:
        seen = seen & (other <= place)
    if left >= 0:
        seen = seen & (place - other <= left)
    if right >= 0:
        seen = seen & (other - place <= right)
    if valid is not None:
        seen = seen & (other < valid.reshape(-1, 1, 1, 1))
    bias = torch.zeros((), dtype=q.dtype, device=q.device)
    if mask is not None:
        missing = size - mask.shape[-1]
        if missing > 0:
            fill = False if mask.dtype == torch.bool else -torch.inf
            mask = torch.cat(
                (mask, torch.full((*mask.shape[:-1], missing), fill, dtype=mask.dtype, device=q.device)), -1
            )
        if mask.dtype == torch.bool:
            seen = seen & mask
        else:
            bias = mask
    return torch.where(seen, bias, torch.full((), -torch.inf, dtype=q.dtype, device=q.device))


def attention_scores(query: Tensor, key: Tensor, scale: float | None) -> Tensor:
    """Products of every query with every key; a key's head serves a run of query heads."""
    key = key.repeat_interleave(query.shape[1] // key.shape[1], dim=1)
    return query @ key.transpose(-1, -2) * (scale if scale is not None else 1 / math.sqrt(query.shape[-1]))


def attend(weights: Tensor, value: Tensor) -> Tensor:
    return weights @ value.repeat_interleave(weights.shape[1] // value.shape[1], dim=1)


def rotary(
    x: Tensor, cos: Tensor, sin: Tensor, places: Tensor | None, heads: int, size: int, interleaved: bool
) -> Tensor:
    """Pairs of elements turned by an angle: halves of the first ``size``, or neighbours."""
    whole = x.reshape(x.shape[0], x.shape[1], heads, -1) if x.ndim == 3 else x.transpose(1, 2)
    size = size or whole.shape[-1]
    turned, kept = whole[..., :size], whole[..., size:]
    cos, sin = (table if places is None else table[places] for table in (cos, sin))
    cos, sin = (table[..., : size // 2].unsqueeze(2) for table in (cos, sin))
    a, b = (turned[..., ::2], turned[..., 1::2]) if interleaved else turned.chunk(2, dim=-1)
    real, imaginary = cos * a - sin * b, sin * a + cos * b
    made = torch.stack((real, imaginary), -1).flatten(-2) if interleaved else torch.cat((real, imaginary), -1)
    made = torch.cat((made, kept), dim=-1)
    return made.reshape(x.shape) if x.ndim == 3 else made.transpose(1, 2)


def linear_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    state: Tensor | None,
    decay: Tensor | None,
    beta: Tensor | None,
    heads: int,
    kv_heads: int,
    scale: float,
    rule: str,
) -> tuple[Tensor, Tensor]:
    """A state of outer products of keys and values, one step after the other, in float32."""
    q, k, v = (
        heads_first(query, heads).float(),
        heads_first(key, kv_heads).float(),
        heads_first(value, kv_heads).float(),
    )
    batch, _, steps, size = k.shape
    shape = (batch, kv_heads, size, v.shape[-1])
    now = torch.zeros(shape, device=q.device) if state is None else state.float()
    g = heads_first(decay, kv_heads).float() if decay is not None else None
    rate = None
    if beta is not None:
        rate = beta.float().transpose(1, 2).expand(batch, kv_heads, steps)
    made = []
    for step in range(steps):
        row, new = k[:, :, step], v[:, :, step]
        if g is not None and rule.startswith("gated"):
            now = now * torch.exp(g[:, :, step]).unsqueeze(-1)
        if rule.endswith("delta") and rate is not None:
            new = (new - (row.unsqueeze(-2) @ now).squeeze(-2)) * rate[:, :, step].unsqueeze(-1)
        now = now + row.unsqueeze(-1) * new.unsqueeze(-2)
        seen = now.repeat_interleave(heads // kv_heads, dim=1)
        made.append((q[:, :, step].unsqueeze(-2) @ seen).squeeze(-2))
    out = torch.stack(made, dim=1).flatten(2) * (scale or 1 / math.sqrt(size))
    return out.to(query.dtype), now.to(query.dtype if state is None else state.dtype)
