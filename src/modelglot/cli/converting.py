"""modelglot convert"""

from __future__ import annotations

from typing import Any

import click

from modelglot.api.converting import make_plan
from modelglot.cli.graphs import graph_options
from modelglot.cli.options import (
    component_option,
    exclude_option,
    from_option,
    include_option,
    json_option,
    layout_options,
    limit_option,
)
from modelglot.cli.running import run_options, run_plan


def _rules(_c: Any, _p: Any, texts: tuple[str, ...]) -> list[tuple[str, str]]:
    pairs = [text.partition("=") for text in texts]
    for pattern, equals, _ in pairs:
        if not equals or not pattern:
            raise click.BadParameter("write REGEX=REPLACEMENT, such as '^model\\.='")
    return [(pattern, replacement) for pattern, _, replacement in pairs]


def _settings(_c: Any, _p: Any, texts: tuple[str, ...]) -> dict[str, str]:
    return dict(text.partition("=")[::2] for text in texts)


@click.command("convert")
@click.argument("source")
@click.argument("target")
@click.option("--to", metavar="FORMAT", help="Format of the target; otherwise its suffix tells.")
@from_option
@click.option("--dtype", multiple=True, metavar="[GLOB=]DTYPE",
              help="Cast floats: bf16, f16, f32, f8_e4m3, ...; GLOB=DTYPE for some, also to integers.")  # fmt: skip
@click.option("--rounding", default="nearest", metavar="HOW", help="nearest, or stochastic[:SEED] with --dtype.")
@include_option
@exclude_option
@click.option("--rename", "rename_rules", multiple=True, callback=_rules, metavar="REGEX=REPL",
              help="Rename tensors, rules in order.")  # fmt: skip
@component_option
@layout_options
@click.option("--plain", is_flag=True, help="Tensors and metadata as they are: do not translate language models.")
@click.option("--quantize", metavar="TYPE", help="Quantize on the way to GGUF: q4_k_m, q8_0 and so on.")
@click.option("--lora-format", type=click.Choice(["kohya", "diffusers", "peft"]), help="Rename a LoRA on the way.")
@click.option("--dialect", type=click.Choice(["original", "lightning"]),
              help="original: a llama in Meta's own layout; lightning: a Lightning checkpoint.")  # fmt: skip
@click.option("--max-shard-size", metavar="SIZE", help="Split into shards of at most this size, such as 5GB.")
@click.option("--into", "template", metavar="FILE",
              help="Put the weights into this file of the target's format; the rest of it is kept.")  # fmt: skip
@click.option("--set", "settings", multiple=True, callback=_settings, metavar="KEY=VALUE",
              help="A setting of the target format, such as gguf:alignment=64.")  # fmt: skip
@graph_options
@click.option("--salvage", is_flag=True, help="Take what is whole of a damaged source, and say what is lost.")
@click.option("--container", is_flag=True, help="Tensors of an ONNX graph as a GGUF file that no runtime runs.")
@run_options
@limit_option
@json_option
def convert_command(source: str, target: str, **choices: Any) -> int:
    """Convert SOURCE (a file or a folder) to TARGET exactly, without running anything from it.

    The result is read back and compared before it appears under its name.
    """
    return run_plan(make_plan, source, target, **choices)
