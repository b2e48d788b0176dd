"""Our names against the map of the `gguf` package, which the reference converter uses."""

from __future__ import annotations

from typing import Any

import pytest

from modelglot.families import registry
from modelglot.families.family import Family, Rule

gguf = pytest.importorskip("gguf")

LAYERS = 4

# What the map does not know by these names: (family, part of the Hugging Face name) -> why.
EXCEPTIONS = {
    ("mixtral", ".block_sparse_moe.experts."): "the map has names of experts put together, with two numbers",
    ("*", ".mlp.experts.{e}."): "the map has the name without the number: the converter puts experts together first",
    ("*", ".mlp.experts.gate_up_proj"): "cut in two by the converter before it looks names up",
    ("gpt-oss", "_blocks"): "put into blocks by the converter itself",
    ("gpt-oss", "_bias"): "renamed by the converter first, to `.bias`",
    ("stablelm", ".norms.{e}"): "put together first, under the name without the number",
    ("deepseek*", ".kv_b_proj"): "the map has the whole matrix, the converter its two halves",
    ("deepseek*", ".e_score_correction_bias"): "renamed by the converter first, to `.bias`",
    ("t5", ".embed_tokens"): "renamed by the converter first, to `shared`",
}


def _pairs(family: Family) -> list[tuple[Rule, str, str]]:
    return [(r, hf, gg) for r in family.rules for hf, gg in zip(r.hf, r.gguf, strict=False)]


def _excepted(family: Family, name: str) -> bool:
    return any(
        (who in ("*", family.name) or (who.endswith("*") and family.name.startswith(who[:-1]))) and part in name
        for who, part in EXCEPTIONS
    )


def _known(family: Family) -> Any:
    arch = {name: number for number, name in gguf.MODEL_ARCH_NAMES.items()}[family.arch]
    return gguf.get_tensor_name_map(arch, LAYERS)


def _found(known: Any, family: Family, hf: str) -> Any:
    """Under the whole name, or without the prefix, which the converter of some families takes away."""
    whole = hf.replace("{i}", "2")
    names = (whole, whole.removeprefix(family.prefix))
    return next(filter(None, (known.get_name(n, try_suffixes=(".weight", ".bias")) for n in names)), None)


@pytest.mark.parametrize("family", registry.families(), ids=lambda f: f.name)
def test_names_are_those_of_the_map(family: Family) -> None:
    known = _known(family)
    wrong = []
    for _, hf, name in _pairs(family):
        if _excepted(family, hf):
            continue
        found = _found(known, family, hf)
        expected = name.replace("{i}", "2").removesuffix(".weight")
        if found != expected:
            wrong.append((hf, found, expected))
    assert not wrong


@pytest.mark.parametrize("family", registry.families(), ids=lambda f: f.name)
def test_targets_are_tensors_of_the_architecture(family: Family) -> None:
    arch = {name: number for number, name in gguf.MODEL_ARCH_NAMES.items()}[family.arch]
    allowed = {gguf.TENSOR_NAMES[t].replace("{bid}", "{i}") for t in gguf.MODEL_TENSORS[arch]}
    names = {g.removesuffix(".weight").removesuffix(".bias") for r in family.rules for g in r.gguf}
    assert names <= allowed


def test_exceptions_are_needed() -> None:
    """A name that the map has learned is no exception any more."""
    used = {
        (who, part)
        for who, part in EXCEPTIONS
        for family in registry.families()
        for _, hf, name in _pairs(family)
        if part in hf and _excepted(family, hf)
        and _found(_known(family), family, hf) != name.replace("{i}", "2")
    }  # fmt: skip
    assert used == set(EXCEPTIONS)
