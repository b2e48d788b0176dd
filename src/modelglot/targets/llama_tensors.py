"""Which tensors llama.cpp wants of an architecture, as far as that can be said without its code."""

from __future__ import annotations

import re
from collections.abc import Iterator

from modelglot.core.errors import printable
from modelglot.core.metadata import is_array
from modelglot.core.model import Model
from modelglot.families.family import Family
from modelglot.families.registry import families
from modelglot.targets.report import Obstacle, blocker, warning

_LAYER = re.compile(r"blk\.(\d+)\.(.+)")
_AGAIN = "convert the original model again"
# One of each group must be in every layer of a transformer.
_PARTS = (
    ("attn_q", "attn_qkv", "attn_q_a", "attn_q_b"),
    ("attn_output", "attn_out"),
    ("ffn_up", "ffn_up_exps", "ffn_gate_up_exps", "ffn_up_shexp"),
    ("ffn_down", "ffn_down_exps", "ffn_down_shexp"),
)


def tensors(model: Model, arch: str) -> Iterator[Obstacle]:
    """Tensors that are missing, that nothing uses, and shapes that contradict the metadata."""
    if not model.tensors:
        yield blocker("no-tensors", "the file holds no tensors: a vocabulary alone cannot be run")
        return
    yield from _unused(model, arch)
    family = next((f for f in families() if f.arch == arch), None)
    if family is not None:
        yield from _keys(model, family)
        yield from _outer(model, family)
        yield from _layers(model, family)
    yield from _shapes(model, arch)


def _unused(model: Model, arch: str) -> Iterator[Obstacle]:
    """llama.cpp refuses a file with a tensor that its code does not ask for."""
    try:
        import gguf
    except ImportError:
        return
    number = next((a for a, name in gguf.MODEL_ARCH_NAMES.items() if name == arch), None)
    if number is None:
        return
    stems = {gguf.TENSOR_NAMES[t].replace("{bid}", "*") for t in gguf.MODEL_TENSORS[number]}
    odd = [n for n in model.tensors if _stem(n) not in stems]
    if odd:
        more = f" and {len(odd) - 1:,} more" if len(odd) > 1 else ""
        yield blocker("unused-tensor", f"{arch} has no tensor {printable(odd[0], code=True)}{more}",
                      "leave it out: `modelglot convert --exclude NAME`")  # fmt: skip


def _stem(name: str) -> str:
    return re.sub(r"\.(\d+)\.", ".*.", re.sub(r"\.(weight|bias|scale|input_scale)$", "", name), count=1)


def _keys(model: Model, family: Family) -> Iterator[Obstacle]:
    """Keys without which the architecture's own code does not begin."""
    arch, names = family.arch, {key.gguf for key in family.keys}
    norms = [n for n in names if n.endswith(("layer_norm_rms_epsilon", "layer_norm_epsilon"))]
    if norms and not any(f"{arch}.{n}" in model.metadata for n in norms):
        yield blocker("missing-key", f"the metadata has no `{arch}.{sorted(norms)[-1]}`", _AGAIN)
    if "attention.head_count" in names and f"{arch}.attention.head_count" not in model.metadata:
        yield blocker("missing-key", f"the metadata has no `{arch}.attention.head_count`", _AGAIN)


def _outer(model: Model, family: Family) -> Iterator[Obstacle]:
    written = {name for rule in family.rules for name in rule.gguf}
    for stem in ("token_embd", "output_norm"):
        if stem in written and f"{stem}.weight" not in model.tensors:
            yield blocker("missing-tensor", f"there is no tensor `{stem}.weight`", _AGAIN)


def _layers(model: Model, family: Family) -> Iterator[Obstacle]:
    """Every layer that the metadata counts, each with what all layers of its kind have."""
    count = model.metadata.get(f"{family.arch}.block_count")
    if not isinstance(count, int) or not any("blk.{i}.attn_" in n for rule in family.rules for n in rule.gguf):
        return
    found: dict[int, set[str]] = {}
    for name in model.tensors:
        if m := _LAYER.fullmatch(name):
            found.setdefault(int(m[1]), set()).add(m[2])
    known = {n.split("}.", 1)[1] for rule in family.rules for n in rule.gguf if n.startswith("blk.{i}.")}
    wanted = [group for group in _PARTS if known & set(group)]
    usual = {part for part in set().union(*found.values()) if sum(part in s for s in found.values()) >= count - 1}
    even = f"{family.arch}.leading_dense_block_count" not in model.metadata
    for number in range(min(count, 10_000)):
        there = found.get(number, set())
        lacks = [g[0] for g in wanted if not any(f"{part}.weight" in there for part in g)]
        odd = sorted(usual - there) if even and count > 1 else []
        lacks += [p for p in odd if p.endswith(".weight") and p.removesuffix(".weight") not in lacks]
        if lacks:
            more = f" and {len(lacks) - 1} more" if len(lacks) > 1 else ""
            part = lacks[0] if lacks[0].endswith((".weight", ".bias")) else f"{lacks[0]}.weight"
            yield blocker("missing-tensor", f"there is no tensor `blk.{number}.{part}`{more}", _AGAIN)
            return
        if odd:  # llama.cpp takes biases where they are, and goes on without
            yield warning("uneven-layers", f"`blk.{number}` lacks `{odd[0]}`, which the other layers have", _AGAIN)


def _shapes(model: Model, arch: str) -> Iterator[Obstacle]:
    tokens, width = model.metadata.get("tokenizer.ggml.tokens"), model.metadata.get(f"{arch}.embedding_length")
    embedding = model.tensors.get("token_embd.weight")
    if embedding is None or len(embedding.shape) != 2:
        return
    rows, columns = embedding.shape
    if tokens is not None and is_array(tokens) and len(tokens) != rows:
        yield blocker("vocabulary-size", f"`token_embd.weight` has {rows:,} rows for {len(tokens):,} tokens", _AGAIN)
    if isinstance(width, int) and width != columns:
        yield blocker("embedding-size", f"`token_embd.weight` is {columns:,} wide; `{arch}.embedding_length` says "
                      f"{width:,}", _AGAIN)  # fmt: skip
