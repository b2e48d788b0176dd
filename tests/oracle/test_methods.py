"""Quantized weights of other worlds against what their own libraries decode them to: see data/make_methods*.py."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import modelglot as mg

FILES = sorted((Path(__file__).parent / "data").glob("methods*.safetensors"))
CASES = {}
for path in FILES:
    with safe_open(path, "np") as file:
        CASES.update({case: {**json.loads(text), "file": path} for case, text in file.metadata().items()})


@pytest.mark.parametrize("case", sorted(CASES))
def test_decodes_as_the_library_does(case: str, tmp_path: Path) -> None:
    about = CASES[case]
    recorded = load_file(about["file"])
    group = {k.split("|")[1]: v for k, v in recorded.items() if k.startswith(f"{case}|")}
    wanted = group.pop("=wanted").numpy()
    folder = tmp_path / "model"
    folder.mkdir()
    state = {(f"w{k}" if k[0] in "_." else f"w.{k}"): v for k, v in group.items()}
    header = {k.replace("0.weight", "w.weight"): v for k, v in about.get("header", {}).items()}
    save_file(state, folder / "model.safetensors", {k: v.replace("0.weight", "w.weight") for k, v in header.items()})
    (folder / "config.json").write_text(json.dumps({"quantization_config": about["config"]}))
    assert [n for n in mg.inspect(folder).notes if n.code == "quantized"]
    mg.convert(folder, tmp_path / "out.safetensors", dtype=["f32"])
    ((_, found),) = mg.load(tmp_path / "out.safetensors").items()
    assert found.shape == wanted.shape
    if case.startswith(("mlx", "bnb-int8")):  # these multiply and add in one rounding, or divide: the last bit
        assert np.abs(found - wanted).max() <= np.spacing(np.abs(wanted).max())
    else:
        assert np.array_equal(found, wanted), about["library"]
    with safe_open(tmp_path / "out.safetensors", "np") as written:
        assert not set(written.metadata() or {}) & {"tensor_names", "w.weight"}


def test_every_library_was_recorded() -> None:
    libraries = {c["library"].split()[0] for c in CASES.values()}
    assert libraries == {"bitsandbytes", "compressed-tensors", "hqq", "mlx", "torchao", "transformers"}
