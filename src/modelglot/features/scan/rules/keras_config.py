"""Keras configurations: Lambda layers, functions and classes from elsewhere, arguments that are files or addresses.

Every object with a class name counts, wherever it lies: layers, losses, metrics, callbacks, build and compile settings
(CVE-2024-3660, CVE-2025-1550, -8747, -9905, -9906, -12058, -49655).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from modelglot.containers import protobuf
from modelglot.core.errors import printable
from modelglot.core.notes import Finding
from modelglot.features.scan.look import Look, Pairs, Whole, as_json, objects, values
from modelglot.features.scan.names import URL, code_severity, escapes
from modelglot.features.scan.piece import Piece
from modelglot.features.scan.report import UNSAFE
from modelglot.features.scan.rules.rule import Rule

ID = "keras-config"
_HINT = "`modelglot convert` keeps the weights and leaves the code; in Keras use `safe_mode=True`"
# what models are made of; the rest of Keras (utils, config, saving, datasets) fetches, loads and switches
_OWN = re.compile(
    r"^(tf_keras|keras|keras_hub|keras_cv|keras_nlp|tensorflow\.python\.keras|tensorflow\.keras)"
    r"(\.(src|engine|legacy|_legacy|common|backend))*"
    r"(\.(layers|models|initializers|regularizers|constraints|activations|optimizers|losses|metrics|ops|dtype_policies|"
    r"quantizers|applications|random|mixed_precision|callbacks|schedules|functional|sequential|training|keras_tensor|"
    r"tokenizers|samplers|feature_column|premade_models|experimental|preprocessing)(\.\w+)*)?$"
)
_PACKAGES = ("keras", "Keras", "keras_hub", "keras_cv", "keras_nlp", "keras_core", "builtins", "tf_keras")
_DANGEROUS = re.compile(  # of Keras itself: they fetch, load, switch the safe mode off
    r"^(get_file|load_(model|weights|img|data|audio)|save_\w+|enable_unsafe_deserialization|deserialize\w*|"
    r"model_from_\w+|image_dataset_from_directory|text_dataset_from_directory|audio_dataset_from_directory|"
    r"set_floatx|clear_session|set_backend|run_\w+|python_utils|func_load|split_dataset|pad_sequences)$"
)
_FILES = ("vocabulary", "vocab_file", "file", "filename", "filepath", "file_path", "fname", "origin", "cache_dir",
          "path", "weights", "weights_path", "url", "merges", "proto", "log_dir")  # fmt: skip


def _of_part(look: Look) -> Iterator[Finding]:
    if isinstance(look.json, list):
        yield from check(look.piece, look.json)
    elif look.hdf5 is not None:
        for name, text in look.hdf5.texts.items():
            yield from _of_text(look.piece, text, f"`{name}`")
    elif look.name == "keras_metadata.pb":
        data = look.piece.window.read(0, look.piece.window.length)
        for node in protobuf.fields(data):
            for field in node.fields() if node.number == 1 else ():
                if field.number == 5:
                    yield from _of_text(look.piece, field.text, "Keras' metadata")


def _of_whole(whole: Whole) -> Iterator[Finding]:
    """Configurations that a SavedModel keeps with its objects."""
    if not whole.is_format("tf-saved-model"):
        return
    window = whole.piece.window
    whole.piece.limits.check("header", window.length, "the graph")
    for graph in protobuf.fields(window.read(0, window.length)):
        for part in graph.fields() if graph.number == 2 else ():
            for node in part.fields() if part.number == 7 else ():
                for user in node.fields() if node.number == 1 else ():
                    for field in user.fields() if user.number == 4 else ():
                        if field.number == 3 and field.length > 2:
                            yield from _of_text(whole.piece, field.text, "an object of the graph")


def _of_text(piece: Piece, text: str, what: str) -> Iterator[Finding]:
    found = as_json(text)
    if found is None:
        yield piece.incomplete(f"{what} is no JSON")
    else:
        yield from check(piece, found)


def check(piece: Piece, document: Any) -> Iterator[Finding]:
    for found in objects(document):
        for name in values(found, "class_name"):
            if isinstance(name, str):
                yield from _object(piece, found, name)


def _object(piece: Piece, found: Pairs, name: str) -> Iterator[Finding]:
    shown = printable(name, code=True, limit=80)
    configs = values(found, "config")
    if name.rpartition(">")[2] in ("Lambda", "__lambda__"):
        yield piece.unsafe(ID, f"a {shown} holds Python code, which runs when the model is loaded or used", None, _HINT)
    if name.rpartition(">")[2] == "TorchModuleWrapper":
        yield piece.unsafe(ID, f"a {shown} holds a pickle, which runs when the model is loaded", None, _HINT)
    modules = [m for m in values(found, "module") if isinstance(m, str)]
    for module in modules:
        if not _OWN.match(module) and module != "builtins":
            target = f"{module}.{name if name != 'function' else _first_text(configs) or name}"
            make = piece.unsafe if code_severity(target) == UNSAFE else piece.unknown
            yield make(ID, f"{printable(target, code=True, limit=100)} is imported and made or called", None, _HINT)
    registered = [r for r in values(found, "registered_name") if isinstance(r, str)]
    for other in [r for r in (*registered, name) if ">" in r and r.split(">")[0] not in _PACKAGES]:
        text = f"{printable(other, code=True, limit=80)} is a class of the author's, whose code is not in the file"
        yield piece.unknown(ID, text, None, _HINT)
    called = _first_text(configs) if name == "function" else None
    if called is not None:
        if "builtins" in modules or _DANGEROUS.match(called):
            yield piece.unsafe(ID, f"the function {printable(called, code=True, limit=80)} is called", None, _HINT)
    elif _DANGEROUS.match(name):
        yield piece.unsafe(ID, f"{shown} is called", None, _HINT)
    for config in configs:
        yield from _arguments(piece, config, shown)


def _arguments(piece: Piece, config: Any, owner: str) -> Iterator[Finding]:
    for key, value in config if isinstance(config, Pairs) else ():
        if not isinstance(value, str) or not value:
            continue
        if key in _FILES and (URL.match(value) or escapes(value) is not None):
            what = f"`{key}` of {owner} is {printable(value, code=True, limit=100)}, which loading opens"
            yield piece.unsafe(ID, what, None, _HINT)
        elif key == "vocabulary":
            what = f"`vocabulary` of {owner} is the file {printable(value, code=True, limit=100)}, which loading opens"
            yield piece.unknown(ID, what, None, _HINT)
        elif URL.match(value) and not value.startswith(("https://keras.io", "https://www.tensorflow.org")):
            yield piece.unknown(ID, f"an argument of {owner} is an address: {printable(value, code=True, limit=100)}")


def _first_text(found: list[Any]) -> str | None:
    return next((v for v in found if isinstance(v, str)), None)


RULE = Rule(
    ID,
    "A Keras configuration that runs or opens something",
    "config.json of .keras, `model_config` of HDF5, keras_metadata.pb, objects of a SavedModel",
    _of_part,
    _of_whole,
)
