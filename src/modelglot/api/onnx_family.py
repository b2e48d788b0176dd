"""Graphs that exporters made of a language model, recognised by the names of their weights and the files beside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from modelglot.api.folders import folder_of
from modelglot.core.errors import ModelFileError, UnsupportedError
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.core.tensor import Tensor
from modelglot.engine.digest import tensor_digest
from modelglot.engine.pool import SourcePool
from modelglot.families import registry
from modelglot.families.family import Family
from modelglot.families.names import Names
from modelglot.passes.layout import layout
from modelglot.targets.llama_tensors import tensors as obstacles

_CONFIG, _OUTPUT = "config.json", "output"


def by_family(model: Model, source: str, limits: Limits | None) -> Model | None:
    """The weights of an ONNX graph as the Hugging Face folder that it was exported from; None for other graphs.

    Numbered weights get the names of the layers that use them, and their axes back; what no rule of the family knows
    (constants of the graph) is left out. Raises UnsupportedError where a weight of the family is not there: exporters
    compute with constants, and may keep only the result.
    """
    if model.format != "onnx" or model.graph is None or not any(side.name == _CONFIG for side in model.sides):
        return None
    try:
        config = folder_of(model, source, limits or Limits()).config
        family = registry.by_config(config)
    except ModelFileError:
        return None
    known = Names(family.rules, "hf")

    def whole(name: str) -> str | None:
        """As the family calls it: with what models saved without their head lack."""
        choices = (name, family.prefix + name, name.removeprefix(family.prefix))
        return next((choice for choice in choices if known.knows(choice)), None)

    turned, _ = layout(model, "torch", {})
    found: dict[str, Tensor] = {}
    for name, tensor in (*turned.tensors.items(), *model.tensors.items()):  # a weight with a name of its own comes last
        if (own := whole(name)) is not None:
            found[own] = replace(tensor, name=own)
    if not found:
        return None
    found = (
        _tied(found, family, model)
        if config.get("tie_word_embeddings", family.defaults.get("tie_word_embeddings"))
        else found
    )
    _check(found, family)
    return replace(model, tensors=found, graph=None, dialect=None)


def _tied(found: Mapping[str, Tensor], family: Family, model: Model) -> dict[str, Tensor]:
    """The one matrix under the embedding's name, where the graph has it as the output, or twice."""
    names = {rule.gguf[0]: f"{rule.hf[0]}.weight" for rule in family.rules}
    embedding, output = names["token_embd"], names.get(_OUTPUT, "")
    made = dict(found)
    if output in made and embedding not in made:
        made[embedding] = replace(made.pop(output), name=embedding)
    elif output in made:
        pool = SourcePool(model.files)
        try:
            if tensor_digest(made[output], pool) == tensor_digest(made[embedding], pool):
                del made[output]
        finally:
            pool.close()
    return made


def _check(found: Mapping[str, Tensor], family: Family) -> None:
    single = (rule.hf[0] for rule in family.rules if "{" not in rule.hf[0] and rule.gguf[0] != _OUTPUT)
    _refuse(name for name in single if not any(n in found for n in (name, f"{name}.weight")))


def check_layers(model: Model) -> None:
    """Raises UnsupportedError where a layer of a translated graph lacks what llama.cpp wants of it."""
    found = obstacles(model, str(model.metadata.get("general.architecture")))
    _refuse(o.what for o in found if o.level == "blocker")


def _refuse(missing: Iterator[str]) -> None:
    first = next(missing, None)
    if first is not None:
        raise UnsupportedError(
            f"the graph is of a known family, but does not hold all of its weights: {first}",
            hint="convert the model it was exported from; `--container` writes a box of its tensors that nothing runs",
        )
