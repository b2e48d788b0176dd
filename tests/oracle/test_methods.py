"""Quantized weights of other worlds against what their own libraries decode them to: see data/make_methods.py."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import modelglot as mg

DATA = Path(__file__).parent / "data" / "methods.safetensors"
with safe_open(DATA, "np") as file:
    CASES = {case: json.loads(text) for case, text in file.metadata().items()}


@pytest.mark.parametrize("case", sorted(CASES))
def test_decodes_as_the_library_does(case: str, tmp_path: Path) -> None:
    group = {k.split("|")[1]: v for k, v in load_file(DATA).items() if k.startswith(f"{case}|")}
    wanted = group.pop("=wanted")
    folder = tmp_path / "model"
    folder.mkdir()
    save_file({(f"w{k}" if k.startswith("_") else f"w.{k}"): v for k, v in group.items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"quantization_config": CASES[case]["config"]}))
    mg.convert(folder, tmp_path / "out.safetensors", dtype=["f32"])
    ((_, found),) = mg.load(tmp_path / "out.safetensors").items()
    assert found.shape == wanted.shape
    if case.startswith(("mlx", "bnb-int8")):  # these multiply and add in one rounding, or divide: the last bit
        assert np.abs(found - wanted).max() <= np.spacing(np.abs(wanted).max())
    else:
        assert np.array_equal(found, wanted), CASES[case]["library"]


def test_every_library_was_recorded() -> None:
    libraries = {c["library"].split()[0] for c in CASES.values()}
    assert libraries == {"bitsandbytes", "compressed-tensors", "mlx", "transformers"}
