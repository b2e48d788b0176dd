"""Meta's own llama layout: ``consolidated.NN.pth``, slices for processes in parallel, beside ``params.json``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from modelglot.core.errors import DamagedFileError, InvalidFileError, UnsupportedError, printable
from modelglot.core.metadata import Metadata
from modelglot.core.model import Model
from modelglot.core.notes import Note
from modelglot.core.tensor import Tensor
from modelglot.core.views import beside, joined
from modelglot.families.family import Config, rule
from modelglot.families.names import Names
from modelglot.families.original_params import config_of, numbers
from modelglot.families.transforms import RopeRows

# Here the other side of a rule is Meta's name; its rows of Q and K are in the order that GGUF has too.
RULES = (
    rule("model.embed_tokens", "tok_embeddings"),
    rule("model.norm", "norm"),
    rule("lm_head", "output"),
    rule("model.layers.{i}.self_attn.q_proj", "layers.{i}.attention.wq", RopeRows("num_attention_heads")),
    rule("model.layers.{i}.self_attn.k_proj", "layers.{i}.attention.wk", RopeRows("num_key_value_heads")),
    rule("model.layers.{i}.self_attn.v_proj", "layers.{i}.attention.wv"),
    rule("model.layers.{i}.self_attn.o_proj", "layers.{i}.attention.wo"),
    rule("model.layers.{i}.mlp.gate_proj", "layers.{i}.feed_forward.w1"),
    rule("model.layers.{i}.mlp.down_proj", "layers.{i}.feed_forward.w2"),
    rule("model.layers.{i}.mlp.up_proj", "layers.{i}.feed_forward.w3"),
    rule("model.layers.{i}.input_layernorm", "layers.{i}.attention_norm"),
    rule("model.layers.{i}.post_attention_layernorm", "layers.{i}.ffn_norm"),
)
EMBEDDING, OUTPUT = "tok_embeddings.weight", "output.weight"
_SLICE = re.compile(r"consolidated\.(\d\d)\.")
_COMPUTED = "rope.freqs"  # frequencies that params.json says too
_WIDE = ("o_proj.weight", "down_proj.weight")  # cut along their columns; norms are in every slice, others cut in rows


def slices(tensors: Mapping[str, Tensor]) -> int:
    """How many processes the model was cut for; 0 for tensors that are not in this layout."""
    if "layers.0.attention.wq.weight" in tensors and EMBEDDING in tensors:
        return 1
    count = 0
    while f"consolidated.{count:02}.layers.0.attention.wq.weight" in tensors:
        count += 1
    return count if f"consolidated.00.{EMBEDDING}" in tensors else 0


def to_hugging_face(model: Model, params: Mapping[str, Any]) -> tuple[Model, dict[str, Any]]:
    """The model whole, under Hugging Face's names, and what its config.json says.

    Raises UnsupportedError for relatives of llama that keep their weights alike, InvalidFileError where tensors and
    params.json contradict, DamagedFileError where tensors are missing.
    """
    found = numbers(params)
    count = slices(model.tensors)
    for name in ("n_heads", "n_kv_heads"):
        if found[name] % count:
            raise UnsupportedError(
                f"`{name}` {found[name]:,} in {count:,} slices: heads that several slices share are not joined here"
            )
    each = Config({
        "num_attention_heads": found["n_heads"] // count, "num_key_value_heads": found["n_kv_heads"] // count
    })  # fmt: skip
    parts = [_named(part, each) for part in _parts(model, count)]
    names = list(parts[0])
    for number, part in enumerate(parts):
        other = next(iter(part.keys() ^ parts[0].keys()), None)
        if other is not None:
            raise DamagedFileError(f"slices 00 and {number:02} have other tensors: {printable(other, code=True)}")
    tensors = {name: _joined([part[name] for part in parts], found["dim"]) for name in names}
    _check(tensors, found)
    config = config_of(params, tensors)
    if config["tie_word_embeddings"]:
        tensors.pop("lm_head.weight", None)
    note = Note("original", f"llama in Meta's layout, {count:,} slice{'s' * (count > 1)}")
    made = replace(
        model, tensors=tensors, metadata=Metadata({"format": "pt"}), tree=None, dialect="llama",
        notes=(*model.notes, note),
    )  # fmt: skip
    return made, config


def _parts(model: Model, count: int) -> list[list[Tensor]]:
    if count == 1:
        return [list(model.tensors.values())]
    parts: list[list[Tensor]] = [[] for _ in range(count)]
    for name, tensor in model.tensors.items():
        found = _SLICE.match(name)
        if found and int(found[1]) < count:
            parts[int(found[1])].append(replace(tensor, name=name[found.end() :]))
        else:
            raise DamagedFileError("belongs to a slice that lacks other tensors", tensor=name)
    return parts


def _named(tensors: list[Tensor], config: Config) -> dict[str, Tensor]:
    scalar = next((t.name for t in tensors if not t.shape), None)
    if scalar is not None:
        raise InvalidFileError("a number alone, not a matrix or vector", tensor=scalar)
    made, unknown = Names(RULES, "gguf").convert([t for t in tensors if t.name != _COMPUTED], config)
    if unknown:
        shown = ", ".join(printable(n, code=True) for n in unknown[:3]) + (" ..." if len(unknown) > 3 else "")
        raise UnsupportedError(
            f"{len(unknown):,} tensors have no place in a llama model: {shown}",
            hint="`--plain` carries everything untranslated",
        )
    return made


def _joined(parts: list[Tensor], dim: int) -> Tensor:
    """Slices of one tensor as a whole. Embeddings were cut in columns up to llama 2, in rows since: widths tell."""
    first = parts[0]
    if len(parts) == 1 or len(first.shape) < 2:
        return first
    narrow = first.name == "model.embed_tokens.weight" and first.shape[1] != dim
    if narrow or first.name.endswith(_WIDE):
        return beside(parts)
    return joined(parts, (sum(t.shape[0] for t in parts), *first.shape[1:]))


def _check(tensors: Mapping[str, Tensor], found: Mapping[str, int]) -> None:
    """Every tensor there, in the shape that params.json implies."""
    dim, head = found["dim"], found["head_dim"]
    queries, keys = found["n_heads"] * head, found["n_kv_heads"] * head
    vocab, inner = _rows(tensors, "model.embed_tokens.weight"), _rows(tensors, "model.layers.0.mlp.gate_proj.weight")
    shapes: dict[str, tuple[int, ...]] = {
        "input_layernorm": (dim,), "post_attention_layernorm": (dim,), "self_attn.q_proj": (queries, dim),
        "self_attn.k_proj": (keys, dim), "self_attn.v_proj": (keys, dim), "self_attn.o_proj": (dim, queries),
        "mlp.gate_proj": (inner, dim), "mlp.up_proj": (inner, dim), "mlp.down_proj": (dim, inner),
    }  # fmt: skip
    wanted = {"model.embed_tokens.weight": (vocab, dim), "model.norm.weight": (dim,)}
    if "lm_head.weight" in tensors:
        wanted["lm_head.weight"] = (vocab, dim)
    for layer in range(found["n_layers"]):
        for name, shape in shapes.items():
            full = f"model.layers.{layer}.{name}.weight"
            _rows(tensors, full)
            wanted[full] = shape
    for name, tensor in tensors.items():
        if tensor.shape != wanted.get(name):
            said = f"params.json implies {list(wanted[name])}" if name in wanted else "params.json implies none"
            raise InvalidFileError(f"has the shape {list(tensor.shape)}, {said}", tensor=name)


def _rows(tensors: Mapping[str, Tensor], name: str) -> int:
    tensor = tensors.get(name)
    if tensor is None or not tensor.shape:
        raise DamagedFileError(f"{printable(name, code=True)} is missing")
    return tensor.shape[0]


def from_hugging_face(model: Model, config: Config) -> Model:
    """A Hugging Face llama in one slice, under Meta's names. Raises UnsupportedError for what the layout lacks."""
    tensors, unknown = Names(RULES, "hf").convert(
        [t for t in model.tensors.values() if not t.name.endswith(".rotary_emb.inv_freq")], config
    )
    surplus = next(iter([*unknown, *(n for n in tensors if n.endswith(".bias"))]), None)
    if surplus is not None:
        raise UnsupportedError(f"Meta's layout has no place for {printable(surplus, code=True)}")
    if OUTPUT not in tensors and EMBEDDING in tensors:  # tied: the same bytes under both names
        tensors[OUTPUT] = replace(tensors[EMBEDDING], name=OUTPUT)
    return replace(model, tensors=tensors, metadata=Metadata(), tree=None, dialect="original")
