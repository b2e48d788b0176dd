"""modelglot quantize"""

from __future__ import annotations

from typing import Any

import click

from modelglot.api.quantizing import make_quantize_plan
from modelglot.cli.options import component_option, from_option, json_option, limit_option
from modelglot.cli.running import run_options, run_plan


def _overrides(_c: Any, _p: Any, texts: tuple[str, ...]) -> list[tuple[str, str]]:
    pairs = [text.rpartition("=") for text in texts]
    if any(not equals or not glob for glob, equals, _ in pairs):
        raise click.BadParameter("write GLOB=TYPE, such as '*.ffn_down.weight=q6_k'")
    return [(glob, kind) for glob, _, kind in pairs]


@click.command("quantize")
@click.argument("source")
@click.argument("target")
@click.option("--type", "type", required=True, metavar="TYPE", help="q4_k_m, q8_0, q6_k, iq4_xs, f16 and so on.")
@click.option("--pure", is_flag=True, help="The base type for every matrix.")
@click.option("--tensor-type", "overrides", multiple=True, callback=_overrides, metavar="GLOB=TYPE",
              help="Another type for tensors whose name fits; the first that fits decides.")  # fmt: skip
@click.option("--output-tensor-type", "output_type", metavar="TYPE", help="Type of output.weight.")
@click.option("--token-embedding-type", "embedding_type", metavar="TYPE", help="Type of token_embd.weight.")
@click.option("--leave-output-tensor", "keep_output", is_flag=True, help="Leave output.weight as it is.")
@click.option("--allow-requantize", "requantize", is_flag=True, help="Also tensors that are quantized already.")
@click.option("--imatrix", metavar="FILE", help="Importance matrix: imatrix.gguf or imatrix.dat.")
@click.option("--keep-split", is_flag=True, help="The shards of the source, tensor by tensor.")
@click.option("--to", metavar="FORMAT", help="Format of the target (gguf).")
@click.option("--max-shard-size", metavar="SIZE", help="Split into shards of at most this size, such as 5GB.")
@from_option
@component_option
@run_options
@limit_option
@json_option
def quantize_command(source: str, target: str, **choices: Any) -> int:
    """Quantize SOURCE (any format) to TARGET by one of llama.cpp's recipes.

    The blocks are those that llama-quantize writes.
    """
    return run_plan(make_quantize_plan, source, target, **choices)
