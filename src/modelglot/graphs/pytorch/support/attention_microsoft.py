"""Attention of ONNX Runtime's own, which keeps its caches and finds positions itself."""

from __future__ import annotations

import torch
from torch import Tensor

from modelglot.graphs.pytorch.support.attention import attention, heads_first, rotary
from modelglot.graphs.pytorch.support.index import write_cache


def rotary_at(x: Tensor, cos: Tensor, sin: Tensor, places: Tensor, heads: int, size: int, interleaved: bool) -> Tensor:
    """``places`` are those of every step, or only the first one."""
    steps = x.shape[1] if x.ndim == 3 else x.shape[2]
    if places.numel() == 1 and steps > 1:
        places = (places.reshape(1, 1) + torch.arange(steps, device=x.device)).expand(x.shape[0], -1)
    heads = heads or x.shape[-1] // (2 * cos.shape[-1])
    return rotary(x, cos, sin, places.reshape(x.shape[0], -1), heads, size or 2 * cos.shape[-1], interleaved)


def grouped_attention(
    query: Tensor,
    key: Tensor | None,
    value: Tensor | None,
    past_key: Tensor | None,
    past_value: Tensor | None,
    last: Tensor,
    total: int,
    heads: int,
    kv_heads: int,
    cos: Tensor | None = None,
    sin: Tensor | None = None,
    interleaved: bool = False,
    scale: float | None = None,
    softcap: float = 0.0,
    window: int = -1,
) -> tuple[Tensor, Tensor, Tensor]:
    """``last`` is the place of the last token of each row; the tokens before it that are not here lie in the past."""
    if key is None or value is None:
        size = query.shape[-1] // (heads + 2 * kv_heads)
        query, key, value = torch.split(query, [heads * size, kv_heads * size, kv_heads * size], dim=-1)
    q, k, v = heads_first(query, heads), heads_first(key, kv_heads), heads_first(value, kv_heads)
    steps = q.shape[2]
    last = last.reshape(-1).long()
    begin = torch.zeros_like(last) if total == steps else last + 1 - steps
    places = begin.unsqueeze(1) + torch.arange(steps, device=q.device)
    if cos is not None and sin is not None:
        q, k = (rotary(x, cos, sin, places, 0, 2 * cos.shape[-1], interleaved) for x in (q, k))
    room = max(total, past_key.shape[2] if past_key is not None else 0)
    keys, values = (
        write_cache(with_room(past, new, room), new, begin, 2, False) for past, new in ((past_key, k), (past_value, v))
    )
    other = torch.arange(room, device=q.device)
    seen = other <= places.unsqueeze(-1)
    if window >= 0:
        seen = seen & (other > places.unsqueeze(-1) - window)
    made = attention(q, keys, values, mask=seen.unsqueeze(1), scale=scale, softcap=softcap)[0]
    return made.transpose(1, 2).flatten(2), keys, values


def with_room(past: Tensor | None, new: Tensor, room: int) -> Tensor:
    """A cache of ``room`` steps that begins with the past."""
    made = new.new_zeros(new.shape[0], new.shape[1], room, new.shape[3])
    if past is not None:
        made[:, :, : past.shape[2]] = past
    return made


def many_heads(
    query: Tensor,
    key: Tensor,
    value: Tensor | None,
    heads: int,
    bias: Tensor | None = None,
    padding: Tensor | None = None,
    added: Tensor | None = None,
    past_key: Tensor | None = None,
    past_value: Tensor | None = None,
    causal: bool = False,
    scale: float | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """``padding`` is (batch), (batch, keys) or (batch, queries, keys): how many keys, or which ones, are seen."""
    if value is None:
        key, value = key[..., 0, :].flatten(2), key[..., 1, :].flatten(2)
    if bias is not None:
        sizes = [x.shape[-1] if x.ndim == 3 else x.shape[1] * x.shape[3] for x in (query, key, value)]
        parts = torch.split(bias, sizes)
        query, key, value = (x if x.ndim == 4 else x + part for x, part in zip((query, key, value), parts))
    q, k, v = (heads_first(x, heads) for x in (query, key, value))
    size = k.shape[2] + (past_key.shape[2] if past_key is not None else 0)
    mask = added
    if padding is not None:
        flags = padding.bool() if padding.ndim > 1 else torch.arange(size, device=q.device) < padding.unsqueeze(1)
        flags = flags[:, None, None] if flags.ndim == 2 else flags.unsqueeze(1)
        hidden = torch.zeros((), dtype=q.dtype, device=q.device).masked_fill(~flags, -10000.0)
        mask = hidden if mask is None else mask + hidden
    made, keys, values, _ = attention(q, k, v, mask, past_key, past_value, causal=causal, scale=scale)
    return made.transpose(1, 2).flatten(2), keys, values


def embedded(
    words: Tensor, segments: Tensor | None, word: Tensor, place: Tensor, segment: Tensor | None, places: Tensor | None
) -> Tensor:
    at = torch.arange(words.shape[1], device=words.device).unsqueeze(0) if places is None else places.long()
    made = word[words.long()] + place[at]
    return made if segment is None or segments is None else made + segment[segments.long()]
