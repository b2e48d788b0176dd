"""The documents that the page is made of, against numpy and the other verbs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import modelglot as mg

from .conftest import STATE

if TYPE_CHECKING:
    from .conftest import Server


def test_the_summary_is_inspects_document(server: Server) -> None:
    found = server.document("api/summary/0")
    path = server.document("api/files")["files"][0]["path"]
    want = mg.inspect(path).document()
    assert {k: found[k] for k in want if k != "tensors"} == {k: v for k, v in want.items() if k != "tensors"}
    assert found["graph_view"] is None
    assert server.document("api/scan/0") == mg.scan(path).document()


def test_columns(server: Server) -> None:
    found = server.document("api/tensors/0")
    rows = zip(found["names"], found["kind"], found["shapes"], found["bytes"], strict=True)
    got = {name: (found["kinds"][kind], shape, size) for name, kind, shape, size in rows}
    assert got == {
        name: ({"float32": "f32", "int64": "i64"}[str(v.dtype)], list(v.shape), v.nbytes) for name, v in STATE.items()
    }


def test_statistics_and_histogram(server: Server) -> None:
    found = server.document("api/stats/0", name="a.weight")
    values = STATE["a.weight"].ravel()
    assert found["statistics"]["mean"] == pytest.approx(float(values.mean()), abs=1e-6)
    bins = found["histogram"]
    want, _ = np.histogram(values, len(bins["counts"]), (bins["low"], bins["high"]))
    assert bins["counts"] == want.tolist()
    odd = server.document("api/stats/0", name="bad.<script>alert(1)</script>")
    assert (odd["statistics"]["nan"], odd["statistics"]["inf"]) == (1, 1)


def test_windows(server: Server) -> None:
    query = {"name": "a.weight", "rows": 1, "cols": 0, "r0": 1, "rn": 3, "c0": 0, "cn": 3, "cstep": 2}
    _, body, _ = server.get("api/window/0", **query)
    np.testing.assert_array_equal(np.frombuffer(body, "<f4").reshape(3, 3), STATE["a.weight"].T[1:4, 0:6:2])
    for bad in ({"rn": 9}, {"rows": "x"}, {"rn": 1 << 20, "cn": 9}, {"rows": 0, "cols": 0}, {"rstep": 0}):
        status, body, _ = server.get("api/window/0", **{**query, **bad})
        assert status == 400, body
        assert json.loads(body)["error"]


def test_spectrum(server: Server) -> None:
    found = server.document("api/spectrum/0", name="a.weight")
    want = np.linalg.svd(STATE["a.weight"].astype(np.float64), compute_uv=False)
    np.testing.assert_allclose(found["values"], want, rtol=1e-6)
    assert found["exact"]


def test_two_files(server: Server) -> None:
    found = server.document("api/compare/0/1")
    assert (found["added"], found["removed"]) == (["new"], ["a.bias"])
    error = server.document("api/compare/0/1/tensor", name="a.weight")
    assert error["rmse"] == pytest.approx(0.5, rel=1e-6)
    assert not error["equal"]
    assert server.get("api/compare/0/1/tensor", name="a.bias")[0] == 422


def test_what_is_not_there_is_said(server: Server) -> None:
    for path, query in (("api/tensor/0", {"name": "x"}), ("api/metadata/0", {"key": "x"}), ("api/tokens/0", {})):
        status, body, _ = server.get(path, **query)
        assert status == 422
        assert json.loads(body)["error"]
    assert server.get("api/tensor/0")[0] == 400


def test_tokenizer_and_templates(start: Callable[..., Server], tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models

    folder = tmp_path / "m"
    folder.mkdir()
    mg.save({"w": np.zeros(3, np.float32)}, folder / "model.safetensors")
    made = Tokenizer(models.BPE({"a": 0, "b": 1, "ab": 2, "<unk>": 3}, [("a", "b")], unk_token="<unk>"))
    made.add_special_tokens(["<|im_end|>"])
    made.save(str(folder / "tokenizer.json"))
    text = "{% for m in messages %}{{ m.content }}<script>{% endfor %}"
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": text}))
    server = start(folder)
    assert server.document("api/summary/0")["has"] == {"tokens": True, "templates": 1}
    assert server.document("api/templates/0")["templates"][0]["text"] == text
    found = server.document("api/tokens/0")
    want = sorted(made.get_vocab().items(), key=lambda item: item[1])
    assert [(row[1], row[0]) for row in found["rows"]] == want
    assert server.document("api/tokens/0", search="IM_")["rows"] == [[4, "<|im_end|>", "control", None]]
