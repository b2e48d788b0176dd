"""What is not a model is named for what it is, through the registry like any other file."""

import io
import zipfile

import pytest

from modelglot.core.errors import DamagedFileError, ModelFileError, UnknownFormatError, UnsupportedError
from modelglot.core.limits import Limits
from modelglot.formats import registry
from modelglot.formats.not_a_model import FORMAT, explain
from modelglot.sources.file import FileProbe, LocalFiles

LFS = b"""version https://git-lfs.github.com/spec/v1
oid sha256:4aa4b0cf1f427c3a80cae6d9ce86a2c2ec618c3bd425233752a623331dd1d66d
size 117979485
"""
PAGE = b"<!DOCTYPE html>\n<html><head><title>Sign in \n to Hub</title></head><body>...</body></html>"
S3 = b'<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>'
TOKENIZER = b'{"version":"1.0","truncation":null,"padding":null,"added_tokens":[]'
SENTENCEPIECE = b"\n\x0e\n\x05<unk>\x15\0\0\0\0\x18\x02\n\x0c\n\x03<s>"


def plain_zip():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        made.writestr("readme.txt", "hello")
    return out.getvalue()


ROWS = [
    # name, content, error, words
    ("model.safetensors", LFS, UnknownFormatError, ["git-LFS pointer", "117,979,485 bytes", "4aa4b0", "git lfs pull"]),
    ("model.onnx", LFS, UnknownFormatError, ["git-LFS pointer"]),
    ("a.gguf", b"# xet version 0\nfilesize = 3\n", UnknownFormatError, ["git-xet pointer"]),
    ("pytorch_model.bin", PAGE, UnknownFormatError, ["web page (HTML)", "`Sign in to Hub`"]),
    ("model.safetensors", b"\n  <html lang=en>" + b" " * 9000, UnknownFormatError, ["web page"]),
    ("a.ckpt", S3, UnknownFormatError, ["storage service (XML)", "AccessDenied: Access Denied"]),
    ("a.bin", b'{"error":"Repository not found"}', UnknownFormatError, ["web service (JSON)", "Repository not found"]),
    ("a.bin", b'{"error":{"message":"slow down"},"code":429}', UnknownFormatError, ["slow down"]),
    ("a.bin", b"Entry not found", UnknownFormatError, ["web service", "Entry not found"]),
    ("a.bin", b"Access to model meta-llama/Llama is restricted.", UnknownFormatError, ["is restricted"]),
    ("a.safetensors", b"", DamagedFileError, ["empty file", "download it again"]),
    ("a.safetensors", bytes(200_000), DamagedFileError, ["all zeros", "200,000 bytes"]),
    ("a.ckpt.crdownload", b"something", DamagedFileError, ["unfinished download of `a.ckpt`"]),
    ("a.gguf.gz", b"\x1f\x8b\x08" + bytes(20), UnknownFormatError, ["gzip", "gunzip a.gguf.gz"]),
    ("a.xz", b"\xfd7zXZ\0" + bytes(20), UnknownFormatError, ["xz file"]),
    ("a.zst", b"\x28\xb5\x2f\xfd" + bytes(20), UnknownFormatError, ["Zstandard"]),
    ("a.7z", b"7z\xbc\xaf\x27\x1c" + bytes(20), UnknownFormatError, ["7-Zip"]),
    ("a.rar", b"Rar!\x1a\x07" + bytes(20), UnknownFormatError, ["RAR"]),
    ("a.zip", plain_zip(), UnknownFormatError, ["zip archive without a model"]),
    ("a.png", b"\x89PNG\r\n\x1a\n", UnknownFormatError, ["PNG image"]),
    ("tokenizer.json", TOKENIZER, UnknownFormatError, ["a tokenizer (Hugging Face", "give the folder"]),
    ("other.json", TOKENIZER, UnknownFormatError, ["a tokenizer (Hugging Face"]),
    ("tokenizer.model", SENTENCEPIECE, UnknownFormatError, ["a tokenizer (SentencePiece)"]),
    ("config.json", b'{"model_type":"llama"}', UnknownFormatError, ["configuration of a model", "give the folder"]),
    ("vocab.txt", b"[PAD]\n", UnknownFormatError, ["vocabulary"]),
    ("m.data-00000-of-00001", b"\1" * 40, DamagedFileError, ["TensorFlow checkpoint without its index"]),
    ("m.meta", b"\x0a\x02\x22\0", DamagedFileError, ["TensorFlow checkpoint without its index", "m.index"]),
    ("model.bin", b"\6\0\0\0\x10\0TransformerSpec\0\7\0\0\0", UnsupportedError, ["CTranslate2"]),
    ("a.eqx", b"\x93NUMPY\1\0", UnsupportedError, ["Equinox"]),
    ("a.engine", b"ftrt" + bytes(9) + b"x", UnsupportedError, ["TensorRT"]),
]


@pytest.mark.parametrize(("name", "raw", "kind", "words"), ROWS, ids=[f"{n}-{w[0]}" for n, _, _, w in ROWS])
def test_named_for_what_it_is(tmp_path, name, raw, kind, words):
    (tmp_path / name).write_bytes(raw)
    found, match = registry.detect(FileProbe(str(tmp_path / name)))
    assert found.info.name == "not-a-model"
    assert match.why
    with pytest.raises(ModelFileError) as caught:
        found.read(LocalFiles(str(tmp_path / name)), Limits())
    assert type(caught.value) is kind
    assert caught.value.hint
    assert caught.value.path == str(tmp_path / name)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(("names", "words"), [
    ([], "empty folder"), (["config.json"], "without weights"),
])  # fmt: skip
def test_folders(tmp_path, names, words):
    for name in names:
        (tmp_path / name).write_bytes(b"{}")
    found, _ = registry.detect(FileProbe(str(tmp_path)))
    with pytest.raises((UnknownFormatError, UnsupportedError), match=words):
        found.read(LocalFiles(str(tmp_path)), Limits())


@pytest.mark.parametrize(("name", "raw"), [
    ("a.gguf", b"GGUF\3\0\0\0"), ("a.safetensors", b"\x08\0\0\0\0\0\0\0{}      "), ("a.npy", b"\x93NUMPY\1\0"),
    ("a.bin", b"\x80\x02}q\0."), ("a.txt", b"some text"), ("a.json", b"[1, 2]"),
])  # fmt: skip
def test_models_and_the_unknown_are_left_alone(tmp_path, name, raw):
    (tmp_path / name).write_bytes(raw)
    assert FORMAT.sniff(FileProbe(str(tmp_path / name))) is None
    assert explain(LocalFiles(str(tmp_path / name))) is None


def test_explain_a_file_of_a_folder(tmp_path):
    """A reader that was misled by the name can ask what the file is."""
    (tmp_path / "model.safetensors").write_bytes(LFS)
    error = explain(LocalFiles(str(tmp_path)), "model.safetensors")
    assert "git-LFS pointer" in str(error)


def test_it_never_raises_while_sniffing(tmp_path):
    lfs = b"version https://git-lfs.github.com/spec/\xff"
    for raw in (b"{", b"{" * 4000, b'{"error": ' * 300, b"<html" * 100, lfs, b"<"):
        (tmp_path / "a.bin").write_bytes(raw)
        FORMAT.sniff(FileProbe(str(tmp_path / "a.bin")))
