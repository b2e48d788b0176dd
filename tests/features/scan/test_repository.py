"""Files around the weights: each hostile one with the rule and verdict that it must get, and benign twins."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from modelglot.api.scanning import scan

Hostile = tuple[str, "bytes | str | object", str, str]
DIGEST = "sha256:" + "0" * 64
POINTER = f"version https://git-lfs.github.com/spec/v1\noid {DIGEST}\nsize 12345\n"


def manifest(digest: str) -> dict[str, object]:
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    return {"schemaVersion": 2, "mediaType": kind, "layers": [{"digest": digest, "size": 3, "mediaType": "x"}]}


# (file, contents, rule, severity)
HOSTILE: dict[str, Hostile] = {
    "auto_map": ("config.json", {"auto_map": {"AutoModel": "modeling_x.X"}}, "code-reference", "unknown"),
    "auto_map elsewhere": ("config.json", {"auto_map": {"AutoModel": "a/b--m.X"}}, "code-reference", "unknown"),
    "auto_map of a tokenizer": ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["t.T", None]}},
                                "code-reference", "unknown"),
    "custom_pipelines": ("config.json", {"custom_pipelines": {"x": {"impl": "p.P"}}}, "code-reference", "unknown"),
    "custom_generate": ("generation_config.json", {"custom_generate": "a/b"}, "code-reference", "unknown"),
    "trust_remote_code": ("config.json", {"a": {"trust_remote_code": True}}, "code-reference", "unknown"),
    "diffusers component": ("model_index.json", {"unet": ["my_unet", "Unet"]}, "code-reference", "unknown"),
    "diffusers pipeline": ("model_index.json", {"_class_name": ["pipeline", "P"]}, "code-reference", "unknown"),
    "diffusers and os": ("model_index.json", {"unet": ["os", "system"]}, "code-reference", "unsafe"),
    "sentence-transformers": ("modules.json", [{"type": "custom_st.Transformer"}], "code-reference", "unknown"),
    "sentence-transformers and os": ("modules.json", [{"type": "os.system"}], "code-reference", "unsafe"),
    "activation": ("config.json", {"activation_function": "os.system"}, "code-reference", "unsafe"),
    "peft": ("adapter_config.json", {"auto_mapping": {"parent_library": "evil"}}, "code-reference", "unknown"),
    "hydra": ("config.json", {"a": [{"_target_": "os.system", "_args_": ["id"]}]}, "code-reference", "unsafe"),
    "hydra of somebody": ("config.json", {"_target_": "nemo.collections.X"}, "code-reference", "unknown"),
    "hydra, YAML": ("c.yaml", "model:\n  _target_: builtins.exec\n", "code-reference", "unsafe"),
    "hydra, YAML flow": ("c.yaml", "{a: 1, _target_: subprocess.run}", "code-reference", "unsafe"),
    "hydra, YAML quoted": ("c.yml", '"_target_": "os.system"', "code-reference", "unsafe"),
    "hydra, YAML escaped": ("c.yml", '"\\x5ftarget_": "os.system"', "code-reference", "unsafe"),
    "hydra, twice": ("c.json", '{"_target_": "os.system", "_target_": "torch.nn.Linear"}', "code-reference", "unsafe"),
    "hydra in a list deep": ("c.json", "[" * 40 + '{"_target_": "os.system"}' + "]" * 40, "code-reference", "unsafe"),
    "hydra, YAML block": ("c.yaml", "_target_: >-\n  os.system\n", "code-reference", "unsafe"),
    "hydra, YAML anchor": ("c.yaml", "_target_: &a os.system\n", "code-reference", "unsafe"),
    "hydra, YAML alias": ("c.yaml", "x: &a os.system\n_target_: *a\n", "code-reference", "unknown"),
    "template in YAML": ("c.yaml", "prompt: '{{ x.__class__ }}'", "chat-template", "unsafe"),
    "template in a text": ("template.txt", "{{ x.__class__ }}", "chat-template", "unsafe"),
    "keras, JSON in JSON": ("m.json", json.dumps(json.dumps({"class_name": "Lambda"})), "keras-config", "unsafe"),
    "path file": ("x.pth", "import os; os.system('id')\n", "source-code", "unknown"),
    "graph as text, escaped": ("g.pbtxt", "node { op: 'Read' \"\\106ile\" }", "tf-operator", "unsafe"),
    "yaml python": ("c.yaml", "a: !!python/object/apply:os.system ['id']", "yaml-tag", "unsafe"),
    "yaml verbatim": ("c.yaml", "a: !<tag:yaml.org,2002:python/object/new:os.system> [id]", "yaml-tag", "unsafe"),
    "yaml handle": ("c.yaml", "%TAG !e! tag:yaml.org,2002:python/\n---\na: !e!name:os.system ''", "yaml-tag", "unsafe"),
    "yaml percent": ("c.yaml", "a: !!%70ython/name:os.system ''", "yaml-tag", "unsafe"),
    "yaml name": ("c.yaml", "a: !!python/name:materialx.emoji.twemoji", "yaml-tag", "unknown"),
    "yaml module": ("c.yaml", "a: !!python/module:os", "yaml-tag", "unsafe"),
    "yaml object": ("c.yaml", "a: !!python/object:mine.Thing {}", "yaml-tag", "unknown"),
    "hyperpyyaml": ("h.yaml", "a: !apply:os.system\n", "yaml-tag", "unsafe"),
    "hyperpyyaml new": ("h.yaml", "a: !new:speechbrain.nnet.X\n", "yaml-tag", "unknown"),
    "index up": ("a.index.json", {"weight_map": {"w": "../x.safetensors"}}, "path-outside", "unsafe"),
    "index absolute": ("a.index.json", {"weight_map": {"w": "/etc/passwd"}}, "path-outside", "unsafe"),
    "index address": ("a.index.json", {"weight_map": {"w": "http://x/y"}}, "path-outside", "unsafe"),
    "index backslash": ("a.index.json", {"weight_map": {"w": "..\\x"}}, "path-outside", "unsafe"),
    "index machine": ("a.index.json", {"weight_map": {"w": "\\\\host\\x"}}, "path-outside", "unsafe"),
    "index drive": ("a.index.json", {"weight_map": {"w": "C:\\x"}}, "path-outside", "unsafe"),
    "index NUL": ("a.index.json", {"weight_map": {"w": "x\0y"}}, "path-outside", "unsafe"),
    "index home": ("a.index.json", {"weight_map": {"w": "~/x"}}, "path-outside", "unsafe"),
    "index, hidden": (
        "a.index.json", '{"weight_map": {"w": "../x"}, "weight_map": {"w": "y"}}', "path-outside", "unsafe"),
    "core ml manifest": ("Manifest.json", {"itemInfoEntries": {"A": {"path": "../../x"}}}, "path-outside", "unsafe"),
    "ollama digest": ("latest", manifest("sha256:../../../etc/passwd"), "path-outside", "unsafe"),
    "ollama short digest": ("latest", manifest("sha256:00"), "path-outside", "unsafe"),
    "modelfile up": ("Modelfile", "FROM ../../x.gguf\n", "path-outside", "unsafe"),
    "modelfile adapter": ("Modelfile", "FROM ./x.gguf\nADAPTER /etc/passwd\n", "path-outside", "unsafe"),
    "python": ("modeling_x.py", "import os\n", "source-code", "unknown"),
    "shell": ("x.sh", "id\n", "source-code", "unknown"),
    "script without a suffix": ("run", "#!/bin/sh\nid\n", "source-code", "unknown"),
    "notebook": ("x.ipynb", {"cells": []}, "source-code", "unknown"),
    "library": ("x.bin", b"\x7fELF\x02\x01\x01" + bytes(64), "source-code", "unknown"),
    "windows": ("x.txt", b"MZ" + bytes(58) + b"\x40\0\0\0PE\0\0", "source-code", "unknown"),
    "pointer": ("model.safetensors", POINTER, "pointer", "unknown"),
    "noise": ("x.dat", bytes(range(1, 200)), "not-recognised", "unknown"),
    "broken JSON": ("config.json", '{"a": ', "incomplete", "unknown"),
    "deep JSON": ("config.json", "[" * 100_000, "incomplete", "unknown"),
}  # fmt: skip
BENIGN: dict[str, tuple[str, object]] = {
    "config": ("config.json", {"architectures": ["LlamaForCausalLM"], "torch_dtype": "bfloat16", "eos_token_id": [1]}),
    "generation": ("generation_config.json", {"temperature": 0.6, "top_p": 0.9}),
    "diffusers": ("model_index.json", {
        "_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2DConditionModel"],
        "text_encoder": ["transformers", "CLIPTextModel"], "safety_checker": [None, None],
    }),
    "sentence-transformers": ("modules.json", [{"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]),
    "dense": ("config.json", {"activation_function": "torch.nn.modules.activation.Tanh"}),
    "activation": ("config.json", {"activation_function": "gelu_new"}),
    "peft": ("adapter_config.json", {"auto_mapping": {"parent_library": "transformers.models.llama.modeling_llama"}}),
    "hydra of values": ("c.yaml", "model:\n  target: 3\n  lr: 1e-3\n"),
    "yaml": ("c.yaml", "a: !!str 3\nb: !!python/tuple [1, 2]\n"),
    "index": ("model.safetensors.index.json", {"metadata": {}, "weight_map": {"w": "sub/a.safetensors"}}),
    "ollama": ("latest", manifest(DIGEST)),
    "modelfile": ("Modelfile", "FROM ./x.gguf\nPARAMETER temperature 0.5\n"),
    "modelfile of a name": ("Modelfile", "FROM llama3.2:1b\nSYSTEM hello\n"),
    "modelfile of the store": ("Modelfile", "FROM /root/.ollama/models/blobs/sha256-" + "a" * 64 + "\n"),
    "card": ("README.md", "---\nlicense: mit\n---\n# A model\n```python\nimport os\n```\n"),
    "licence": ("LICENSE", "MIT License\n"),
    "attributes": (".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n"),
    "vocabulary": ("vocab.txt", "[PAD]\n[UNK]\n"),
    "image": ("x.png", b"\x89PNG\r\n\x1a\n" + bytes(range(256))),
    "empty": ("__init__.txt", b""),
    "chinese": ("notes.txt", "模型"),
}  # fmt: skip


def written(folder: Path, name: str, contents: object) -> Path:
    path = folder / name
    if isinstance(contents, bytes):
        path.write_bytes(contents)
    else:
        path.write_text(contents if isinstance(contents, str) else json.dumps(contents))
    return path


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile(name: str, tmp_path: Path) -> None:
    file, contents, rule, severity = HOSTILE[name]
    found = scan(written(tmp_path, file, contents)).files[0]
    assert (rule, severity) in {(f.rule, f.severity) for f in found.findings}, found
    assert found.verdict == severity


@pytest.mark.parametrize("name", BENIGN)
def test_benign(name: str, tmp_path: Path) -> None:
    found = scan(written(tmp_path, *BENIGN[name])).files[0]
    assert found.verdict == "safe", found
    assert not found.findings
    assert found.kind != "not recognised"


@pytest.mark.parametrize("name", ["hydra, YAML", "yaml python", "python", "auto_map"])
@pytest.mark.parametrize("pack", ["tar", "zip", "tar.gz"])
def test_inside_archives(name: str, pack: str, tmp_path: Path) -> None:
    """NeMo's files are tar archives with such settings."""
    import shutil

    file, contents, rule, severity = HOSTILE[name]
    (tmp_path / "in").mkdir()
    written(tmp_path / "in", file, contents)
    made = shutil.make_archive(
        str(tmp_path / "m"), {"tar": "tar", "zip": "zip", "tar.gz": "gztar"}[pack], tmp_path / "in"
    )
    found = scan(made).files[0]
    assert (rule, severity) in {(f.rule, f.severity) for f in found.findings}, found


def test_no_file_of_a_folder_is_skipped(tmp_path: Path) -> None:
    (tmp_path / ".hidden").mkdir()
    for name in ("a.json", ".b", ".hidden/c", "x.lock"):
        (tmp_path / name).write_text("{}")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "gone").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to(".")
    report = scan(tmp_path)
    assert {Path(f.path).name for f in report.files} == {"a.json", ".b", "c", "x.lock", "fifo", "gone", "loop"}
    said = {Path(f.path).name: f.verdict for f in report.files}
    assert said["fifo"] == said["gone"] == said["loop"] == "unknown"
    assert report.incomplete


LINKS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "inside": (lambda root: root / "m" / "real.json", "safe"),
    "the hub's own": (lambda root: root / "models--x" / "blobs" / "abc", "safe"),
    "beside the folder": (lambda root: root / "other.json", "unknown"),
    "passwords": (lambda root: Path("/etc/passwd"), "unsafe"),
}


@pytest.mark.parametrize("name", LINKS)
def test_links(name: str, tmp_path: Path) -> None:
    target_of, verdict = LINKS[name]
    target = target_of(tmp_path)
    folder = tmp_path / "models--x" / "snapshots" / "123" if name.startswith("the hub") else tmp_path / "m"
    folder.mkdir(parents=True)
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("{}")
    (folder / "config.json").symlink_to(target)
    report = scan(folder)
    found = next(f for f in report.files if f.path.endswith("config.json"))
    assert found.verdict == verdict, found


def test_secrets_and_homes_are_notes(tmp_path: Path) -> None:
    token = "hf_" + "a" * 34
    path = written(tmp_path, "config.json", {"a": token, "b": "/home/alice/models/x", "c": r"C:\Users\bob\x"})
    found = scan(path).files[0]
    assert found.verdict == "safe"
    assert [(f.rule, f.severity) for f in found.findings] == [
        ("secret", "note"),
        ("home-path", "note"),
        ("home-path", "note"),
    ]
    assert token not in json.dumps(found.document()), "a report is passed on"
    clean = written(tmp_path, "config2.json", {"a": "hf_hub", "b": "/home/user/x", "c": "https://x/home/alice/x"})
    assert not scan(clean).files[0].findings


def test_secrets_in_metadata(tmp_path: Path) -> None:
    import numpy as np

    import modelglot as mg

    key = "-----BEGIN RSA PRIVATE KEY-----"
    mg.save({"w": np.zeros(4, np.float32)}, tmp_path / "m.safetensors", metadata={"args": f"{key} /home/alice/x"})
    found = scan(tmp_path / "m.safetensors").files[0]
    assert found.verdict == "safe"
    assert {f.rule for f in found.findings} == {"secret", "home-path"}


def test_a_defect_of_a_rule_ends_no_scan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from modelglot.features.scan import scan as module
    from modelglot.features.scan.rules.rule import Rule

    def broken(_: object) -> list[object]:
        raise KeyError("x")
        yield

    monkeypatch.setattr(module, "RULES", (Rule("x", "x", "x", broken), *module.RULES))  # type: ignore[arg-type]
    written(tmp_path, "a.json", HOSTILE["hydra"][1])
    found = scan(tmp_path).files[0]
    assert found.verdict == "unsafe"
    assert found.incomplete


def test_yaml_handles_are_what_yaml_means(tmp_path: Path) -> None:
    """PyYAML sees a call in each of the YAML samples here (without making it)."""
    yaml = pytest.importorskip("yaml")
    for name in ("yaml python", "yaml verbatim", "yaml handle", "yaml percent"):
        node = yaml.compose(str(HOSTILE[name][1]))
        assert any("python/" in n.tag for _, n in node.value), name


def test_what_follows_the_shortest_pickle_is_not_safe(tmp_path: Path) -> None:
    """Two letters are a whole pickle; what comes after them was not read."""
    (tmp_path / "x.dat").write_bytes(b"N." + bytes(range(1, 255)))
    assert scan(tmp_path / "x.dat").verdict == "unknown"
    (tmp_path / "modeling.py").write_text("N.x = 3\n")
    assert "source-code" in {f.rule for f in scan(tmp_path / "modeling.py").files[0].findings}
