"""What names of files say: which may be weights, which belong together, which lead the others."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from modelglot.containers.side_files import WEIGHTS, is_weights

# A file of one of these is meant to be a model: it gets a row even where nothing recognises it.
_MEANT = re.compile(
    r"\.(safetensors|gguf|ggml|onnx|pt|pth|ckpt|h5|keras|tflite|msgpack|mlmodel|caffemodel|pdparams|npz)$", re.I
)
# What no format of weights is called; index files come first.
_PLAIN = re.compile(
    r"\.(txt|md|rst|json|jsonl|ya?ml|toml|ini|lock|jinja|html?|css|js|svg|py|pyi|ipynb|sh|c|cc|cpp|h|cu|log|csv|tsv|xlsx?"
    r"|pdf|png|jpe?g|gif|webp|bmp|tiff?|wav|mp3|flac|ogg|mp4|parquet|arrow|sha256|md5|sig|asc)$",
    re.I,
)
_LEADS = (".index.json", ".index", ".onnx", ".xml", ".pdmodel", ".prototxt")  # files that name others
_SHARD = re.compile(r"[-_.]\d{1,5}[-_]of[-_]\d{1,5}$")
_NUMBERED = re.compile(r"\.data-\d{5}-of-\d{5}$")
_ENDINGS = (".index.json", ".safetensors", ".bin", ".onnx", ".onnx.data", ".xml", ".cfg", ".h5", ".weights")


def is_meant(name: str) -> bool:
    """True for a name that only a model has."""
    return _MEANT.search(name) is not None and may_be_weights(name)


def may_be_weights(name: str) -> bool:
    return is_weights(name.lower())


def is_plain(name: str) -> bool:
    """True for text, pictures, sound, tables, by their names: not worth a request."""
    return _PLAIN.search(name) is not None and not leads(name)


def batches(names: Iterable[str], most: int) -> Iterator[tuple[str, ...]]:
    """Names in groups of about ``most``; those of one stem stay together, leaders in front."""
    stems: dict[str, list[str]] = {}
    for name in names:
        stems.setdefault(stem(name), []).append(name)
    batch: list[str] = []
    for group in stems.values():
        batch += sorted(group, key=lambda n: (not leads(n), n))
        if len(batch) >= most:
            yield tuple(batch)
            batch = []
    if batch:
        yield tuple(batch)


def leads(name: str) -> bool:
    """True for a file that may name others."""
    return name.endswith(_LEADS)


def has_kin(name: str) -> bool:
    """True for an index, a shard, and what else names other files."""
    return leads(name) or _SHARD.search(name.rpartition(".")[0]) is not None


def stem(name: str) -> str:
    """``model`` of ``model-00001-of-00002.safetensors``, ``model.safetensors.index.json``, ``model.data-0...``"""
    name = _NUMBERED.sub("", name)
    while True:
        shorter = WEIGHTS.sub("", name)
        for ending in _ENDINGS:
            shorter = shorter.removesuffix(ending)
        if shorter == name or not shorter:
            return _SHARD.sub("", name)
        name = shorter
