"""Ollama's store, built here: read by manifest and by name, and what is wrong with one."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

import modelglot
from modelglot.core.errors import CannotOpenError, DamagedFileError, InvalidFileError
from modelglot.testing.tiny_gguf import STR, Build, Info


def blob(store: Path, data: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(data).hexdigest()
    (store / "blobs").mkdir(parents=True, exist_ok=True)
    (store / "blobs" / f"sha256-{digest}").write_bytes(data)
    return {"digest": f"sha256:{digest}", "size": len(data)}


def build(store: Path, **changes: Any) -> Path:
    b = Build()
    model = b.file([b.entry("general.architecture", STR, "llama")], [Info("w", [8])], bytes(32))
    texts = {"model": model, "template": b"{{ .Prompt }}", "params": b'{"stop":["x"]}', "system": b"Be brief."}
    layers = [{"mediaType": f"application/vnd.ollama.image.{k}", **blob(store, v)} for k, v in texts.items()]
    layers[0] |= changes
    path = store / "manifests" / "registry.ollama.ai" / "library" / "tiny" / "latest"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"schemaVersion": 2, "layers": layers}))
    return path


def test_a_manifest(tmp_path: Path) -> None:
    report = modelglot.inspect(build(tmp_path))
    assert report.model.format == "gguf"
    assert {s.name: s.data for s in report.model.sides} == {
        "template": b"{{ .Prompt }}", "params": b'{"stop":["x"]}', "system": b"Be brief.",
    }  # fmt: skip
    modelglot.convert(tmp_path / "manifests/registry.ollama.ai/library/tiny/latest", tmp_path / "out.safetensors")
    with modelglot.open(tmp_path / "out.safetensors") as model:
        assert list(model.tensors) == ["w"]


@pytest.mark.parametrize("name", ["tiny", "tiny:latest", "library/tiny", "registry.ollama.ai/library/tiny:latest"])
def test_names(name: str, tmp_path: Path, monkeypatch: Any) -> None:
    build(tmp_path)
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path))
    with modelglot.open(f"ollama://{name}") as model:
        assert list(model.tensors) == ["w"]
    assert modelglot.inspect(f"ollama://{name}").why == "the model layer of an Ollama manifest"


def test_a_blob_alone(tmp_path: Path) -> None:
    build(tmp_path)
    formats = {modelglot.inspect(p).model.format for p in (tmp_path / "blobs").iterdir() if p.read_bytes()[:1] == b"G"}
    assert formats == {"gguf"}


def test_other_files_under_a_folder_of_that_name(tmp_path: Path) -> None:
    path = build(tmp_path).with_name("a.gguf")
    path.write_bytes(Build().file([], [Info("v", [8])], bytes(32)))
    with modelglot.open(path) as model:
        assert list(model.tensors) == ["v"]


def test_what_is_wrong(tmp_path: Path, monkeypatch: Any) -> None:
    with pytest.raises(DamagedFileError, match="the manifest says 7"):
        modelglot.open(build(tmp_path / "a", size=7))
    with pytest.raises(InvalidFileError, match="no sha256 digest"):
        modelglot.open(build(tmp_path / "b", digest="sha256:../../../etc/passwd"))
    with pytest.raises(CannotOpenError):
        modelglot.open(build(tmp_path / "c", digest="sha256:" + "0" * 64))
    path = build(tmp_path / "d")
    text = next(p for p in (tmp_path / "d/blobs").iterdir() if p.read_bytes() == b"Be brief.")
    text.write_bytes(b"Be crude.")
    with pytest.raises(DamagedFileError, match="not what its name says"):
        modelglot.open(path)
    path.write_text('{"layers": []}')
    with pytest.raises(InvalidFileError, match="names 0 models"):
        modelglot.open(path)
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "d"))
    for name in ("../../etc", "", "a/b/c/d/e"):
        with pytest.raises(InvalidFileError, match="no name of a model"):
            modelglot.open(f"ollama://{name}")
    with pytest.raises(CannotOpenError, match="no such model"):
        modelglot.open("ollama://nothing")


def test_the_verbs_that_look_at_files(tmp_path: Path, monkeypatch: Any) -> None:
    """`scan` looks at all that a runtime would load, `verify` holds the model against the digest it is called by."""
    path = build(tmp_path)
    manifest = json.loads(path.read_text())
    adapter = {"mediaType": "application/vnd.ollama.image.adapter", **blob(tmp_path, b"cos\nsystem\n(S'x'\ntR.")}
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path))
    assert [f.verdict for f in modelglot.scan("ollama://tiny").files] == ["safe"]
    found = modelglot.verify("ollama://tiny")
    assert (found.path, [c.what for c in found.checks if c.state == "right"]) == (
        "ollama://tiny", ["the SHA-256 that is its name"],
    )  # fmt: skip
    path.write_text(json.dumps(manifest | {"layers": [*manifest["layers"], adapter]}))
    assert [f.verdict for f in modelglot.scan("ollama://tiny").files] == ["safe", "unsafe"]
    assert modelglot.digest("ollama://tiny").total == modelglot.digest(path).total
    assert modelglot.diff("ollama://tiny", path).same
    assert modelglot.compare("ollama://tiny", path).tensors
    model = tmp_path / "blobs" / manifest["layers"][0]["digest"].replace(":", "-")
    model.write_bytes(model.read_bytes()[:-4] + b"oops")
    assert not modelglot.verify("ollama://tiny").ok
    assert [f.findings[0].what for f in modelglot.scan("ollama://nobody").files] == [
        "no such model in the store of Ollama"
    ]
