"""LoRA names against diffusers' own converters; scales survive; every way round."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import modelglot
from modelglot.core.errors import ModelFileError
from modelglot.families import lora

UNET = (
    "down_blocks.0.attentions.1.transformer_blocks.0.attn1.to_q", "mid_block.attentions.0.proj_in",
    "up_blocks.2.attentions.0.transformer_blocks.0.ff.net.0.proj",
    "up_blocks.1.attentions.2.transformer_blocks.0.attn2.to_out.0", "down_blocks.1.resnets.0.conv1",
    "down_blocks.1.downsamplers.0.conv",
)  # fmt: skip
TEXT = (
    "text_model.encoder.layers.0.self_attn.q_proj", "text_model.encoder.layers.3.self_attn.out_proj",
    "text_model.encoder.layers.11.mlp.fc1",
)  # fmt: skip
ALPHAS = (4.0, 8.0, 1.5)


def kohya(two: bool = False) -> dict[str, Any]:
    rng = np.random.default_rng(7)
    made: dict[str, Any] = {}
    stems = [f"lora_unet_{p.replace('.', '_')}" for p in UNET]
    for prefix in ("lora_te1_", "lora_te2_") if two else ("lora_te_",):
        stems += [prefix + p.replace(".", "_") for p in TEXT]
    for number, stem in enumerate(stems):
        made[f"{stem}.lora_down.weight"] = rng.standard_normal((8, 16)).astype(np.float32)
        made[f"{stem}.lora_up.weight"] = rng.standard_normal((24, 8)).astype(np.float32)
        made[f"{stem}.alpha"] = np.array(ALPHAS[number % 3], np.float32)
    return made


@pytest.mark.parametrize(("through", "two"), list(product(("peft", "diffusers"), (False, True))))
def test_every_way_round(through: str, two: bool, tmp_path: Path) -> None:
    save_file(kohya(two), tmp_path / "a.safetensors")
    modelglot.convert(tmp_path / "a.safetensors", tmp_path / "b.safetensors", lora_format=through)
    assert modelglot.inspect(tmp_path / "b.safetensors").family == f"LoRA, {through} names, rank 8"
    modelglot.convert(tmp_path / "b.safetensors", tmp_path / "c.safetensors", lora_format="kohya")
    before, after = load_file(tmp_path / "a.safetensors"), load_file(tmp_path / "c.safetensors")
    assert before.keys() == after.keys()
    for name, array in before.items():
        assert np.array_equal(after[name], array), name


def test_names_are_those_of_diffusers(tmp_path: Path) -> None:
    """Its reader of kohya files, and its writer of them."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("diffusers")
    from diffusers.loaders.lora_conversion_utils import _convert_non_diffusers_lora_to_diffusers
    from diffusers.utils.state_dict_utils import (
        convert_state_dict_to_kohya,
        convert_state_dict_to_peft,
        convert_unet_state_dict_to_peft,
    )

    given = {n: v for n, v in kohya(True).items() if "mlp" not in n}  # which it names in another generation's way
    state = {n: torch.from_numpy(np.array(v)) for n, v in given.items()}
    theirs, alphas = _convert_non_diffusers_lora_to_diffusers(dict(state))
    text = {n: v for n, v in theirs.items() if n.startswith("text")}
    unet = {n: v for n, v in theirs.items() if not n.startswith("text")}
    theirs = convert_state_dict_to_peft(text) | convert_unet_state_dict_to_peft(unet)
    save_file(given, tmp_path / "a.safetensors")
    modelglot.convert(tmp_path / "a.safetensors", tmp_path / "b.safetensors", lora_format="peft")
    ours = load_file(tmp_path / "b.safetensors")
    assert set(ours) == set(theirs)
    assert all(np.array_equal(ours[n], theirs[n].numpy()) for n in ours)
    assert len(alphas) == len(state) // 3
    again = convert_state_dict_to_kohya({n: torch.from_numpy(v) for n, v in ours.items()})
    assert {n for n in again if "alpha" not in n} == {n for n in state if "alpha" not in n}


def test_original_blocks_of_the_unet() -> None:
    """SDXL files of kohya name the original blocks; where diffusers puts them."""
    cases = {
        "input_blocks_4_1_transformer_blocks_1_attn1_to_k":
            "down_blocks.1.attentions.0.transformer_blocks.1.attn1.to_k",
        "input_blocks_8_1_proj_out": "down_blocks.2.attentions.1.proj_out",
        "middle_block_1_transformer_blocks_9_attn2_to_v": "mid_block.attentions.0.transformer_blocks.9.attn2.to_v",
        "output_blocks_5_1_transformer_blocks_1_ff_net_0_proj":
            "up_blocks.1.attentions.2.transformer_blocks.1.ff.net.0.proj",
        "input_blocks_5_0_in_layers_2": "down_blocks.1.resnets.1.conv1",
        "middle_block_2_emb_layers_1": "mid_block.resnets.1.time_emb_proj",
        "input_blocks_3_0_op": "down_blocks.0.downsamplers.0.conv",
    }  # fmt: skip
    for flat, path in cases.items():
        assert lora.parse(f"lora_unet_{flat}.lora_down.weight") == lora.Pair("unet", path, "down")


def test_older_spellings_are_read() -> None:
    assert lora.parse("unet.mid_block.attentions.0.transformer_blocks.0.attn1.processor.to_out_lora.up.weight") == (
        "unet", "mid_block.attentions.0.transformer_blocks.0.attn1.to_out.0", "up",
    )  # fmt: skip
    name = "text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora_linear_layer.down.weight"
    assert lora.parse(name) == ("text_encoder", "text_model.encoder.layers.0.self_attn.q_proj", "down")


def test_half_a_pair_and_strangers_are_refused(tmp_path: Path) -> None:
    whole = kohya()
    for change, message in (
        ({n: v for n, v in whole.items() if not n.endswith("_to_q.lora_up.weight")}, "no up part"),
        (whole | {"lora_unet_some_thing.lora_down.weight": np.zeros((2, 2), np.float32)}, "known here"),
        ({"w": np.zeros(3, np.float32)}, "no LoRA"),
    ):
        save_file(change, tmp_path / "x.safetensors")
        with pytest.raises(ModelFileError, match=message):
            modelglot.convert(tmp_path / "x.safetensors", tmp_path / "y.safetensors", lora_format="peft")
