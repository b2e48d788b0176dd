"""All families: a table of strings, imported when one is needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from typing import Any

from modelglot.core.errors import UnsupportedError, printable
from modelglot.families.family import Family

# class names in config.json -> module that has FAMILY; the order is the order of the documentation
MODULES = (
    "mixtral",
    "llama",
    "qwen2",
    "qwen3",
    "gemma2",
    "gemma3",
    "phi3",
    "qwen2moe",
    "qwen3moe",
    "gpt2",
    "gpt_oss",
    "bert",
    "deepseek3",
    "deepseek2",
    "olmo2",
    "granite",
    "cohere",
    "cohere2",
    "starcoder2",
    "stablelm",
    "falcon",
    "bloom",
    "mamba",
    "t5",
    "glm",
    "glm4",
)


@cache
def families() -> tuple[Family, ...]:
    return tuple(_each())


def _each() -> Iterator[Family]:
    """One after another, so that a search imports no more than it looks at."""
    return (import_module(f"modelglot.families.{name}").FAMILY for name in MODULES)


def by_config(config: Mapping[str, Any]) -> Family:
    """The family of a ``config.json``. Raises UnsupportedError naming the nearest one."""
    wanted = [str(name) for name in config.get("architectures") or () if isinstance(name, str)]
    for family in _each():
        if any(name in family.models for name in wanted):
            return family
    kind = config.get("model_type")
    for family in _each():
        if not wanted and kind == family.model_type:
            return family
    raise _unknown(wanted[0] if wanted else str(kind), [m for f in families() for m in f.models])


def by_metadata(metadata: Mapping[str, Any]) -> Family:
    """The family of a GGUF file. Raises UnsupportedError naming the nearest one."""
    arch = str(metadata.get("general.architecture"))
    for family in _each():
        if family.arch == arch and (family.like is None or family.like(metadata)):
            return family
    raise _unknown(arch, [f.arch for f in families()])


def _unknown(name: str, known: list[str]) -> UnsupportedError:
    near = get_close_matches(name, known, 1, 0.3)
    nearest = f"; the nearest known one is `{near[0]}`" if near else ""
    return UnsupportedError(
        f"the model family {printable(name, code=True)} is not known here{nearest}",
        hint="`--plain` carries tensors and metadata without translating them; a family is one file to add: "
        "see CONTRIBUTING.md, `Add a model family`",
    )
