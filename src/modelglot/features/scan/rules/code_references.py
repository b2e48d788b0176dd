"""Settings that name code: auto_map, custom pipelines and generation, modules of pipelines, `_target_` of hydra."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from modelglot.core.errors import printable
from modelglot.core.notes import Finding
from modelglot.features.scan.look import Look, Pairs, Whole, metadata_texts, objects, values
from modelglot.features.scan.names import code_severity, is_dotted
from modelglot.features.scan.piece import Piece
from modelglot.features.scan.report import UNSAFE
from modelglot.features.scan.rules.rule import Rule

ID = "code-reference"
_HINT = "read that code before it is allowed to run; the weights can be had without it"
_REMOTE = ("auto_map", "custom_pipelines", "custom_pipeline", "custom_generate")
_IMPORTED = ("_target_", "__target__", "_partial_target_", "parent_library", "import_path", "class_path", "target")
_ACTIVATION = ("activation_fn", "activation_function", "sbert_ce_default_activation_function")
_PIPELINES = ("diffusers", "transformers", "onnxruntime", "optimum", "peft", "sentence_transformers", "null")
_KNOWN = ("sentence_transformers.", "transformers.", "torch.nn.", "diffusers.", "model2vec.", "pylate.")
# the value may be a block, have an anchor or a tag, or be an alias, which is not followed
_TARGET = re.compile(
    r"""(?:^|[\s{,"'])_target_["']?\s*:\s*(?:[&!][^\s]*\s+|[>|][+-]?\d*\s+)*["']?([\w.]+|\*\S+)""", re.M
)
_ESCAPE = re.compile(r"\\x([0-9a-fA-F]{2})|\\u([0-9a-fA-F]{4})")


def _of_part(look: Look) -> Iterator[Finding]:
    if isinstance(look.json, (Pairs, list)):
        yield from in_json(look.piece, look.name, look.json)
    elif look.suffix in ("yaml", "yml") and look.text is not None:
        text = _ESCAPE.sub(lambda m: chr(int(m[1] or m[2], 16)), look.text)
        for found in _TARGET.finditer(text):
            yield named(look.piece, "_target_", found[1])


def _of_whole(whole: Whole) -> Iterator[Finding]:
    """What a pickle or a header keeps of hydra's settings (NeMo, OmegaConf)."""
    for key, text in metadata_texts(whole):
        for found in _TARGET.finditer(text):
            yield named(whole.piece, f"{key}: _target_", found[1])


def in_json(piece: Piece, name: str, document: Any) -> Iterator[Finding]:
    for found in objects(document):
        for key, value in found:
            if key in _REMOTE and value:
                shown = ", ".join(printable(t, code=True, limit=80) for t in _texts(value)[:4])
                where = " of another repository" if any("--" in t for t in _texts(value)) else ""
                yield piece.unknown(
                    ID, f"`{key}` names code{where} that runs with trust_remote_code: {shown}", None, _HINT
                )
            elif key == "trust_remote_code" and value is True:
                yield piece.unknown(ID, "`trust_remote_code` is switched on by the file itself", None, _HINT)
            elif key in _IMPORTED and isinstance(value, str) and (is_dotted(value) or key == "parent_library"):
                if not (key == "parent_library" and value.split(".")[0] in _PIPELINES):
                    yield named(piece, key, value)
            elif key in _ACTIVATION and isinstance(value, str) and is_dotted(value) and not value.startswith(_KNOWN):
                yield named(piece, key, value)
    if name == "model_index.json":
        yield from _pipeline(piece, document)
    elif name == "modules.json" or name.endswith("_modules.json"):
        for found in objects(document):
            for kind in values(found, "type"):
                if isinstance(kind, str) and not kind.startswith(_KNOWN):
                    yield named(piece, "type", kind)


def _pipeline(piece: Piece, document: Any) -> Iterator[Finding]:
    """``{"unet": ["diffusers", "UNet2DConditionModel"]}``: library and class. Another is a file or a package."""
    for key, value in document if isinstance(document, Pairs) else ():
        if key == "_class_name" and isinstance(value, list):
            yield piece.unknown(ID, "the pipeline is code of the repository itself", None, _HINT)
        elif isinstance(value, list) and len(value) == 2 and isinstance(value[0], str):
            library, kind = value
            if library.split(".")[0] not in _PIPELINES and not key.startswith("_"):
                yield named(piece, key, f"{library}.{kind}")


def named(piece: Piece, key: str, name: str) -> Finding:
    make = piece.unsafe if code_severity(name) == UNSAFE else piece.unknown
    shown = printable(name, code=True, limit=80)
    return make(ID, f"{printable(key, code=True)} names {shown}, which loading imports and calls", None, _HINT)


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [t for v in value for t in _texts(v[1] if isinstance(v, tuple) else v)]
    return []


RULE = Rule(
    ID,
    "Settings that name code",
    "auto_map, custom_pipelines, custom_generate, model_index.json, modules.json, `_target_` in JSON and YAML",
    _of_part,
    _of_whole,
)
