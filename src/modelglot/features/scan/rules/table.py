"""All rules but that of pickles, which needs what is allowed (`pickles`). One row a file."""

from __future__ import annotations

from modelglot.features.scan.report import CLOSED, INCOMPLETE, INVALID, REFUSED
from modelglot.features.scan.rules import (
    chat_templates,
    code_references,
    custom_layers,
    hdf5_outside,
    hidden_bytes,
    home_paths,
    keras_config,
    onnx_external,
    onnx_operators,
    paths_outside,
    secrets,
    tf_operators,
    torchscript_code,
    yaml_tags,
)
from modelglot.features.scan.rules.rule import Rule

RULES: tuple[Rule, ...] = (
    chat_templates.RULE,
    code_references.RULE,
    yaml_tags.RULE,
    paths_outside.RULE,
    keras_config.RULE,
    hdf5_outside.RULE,
    tf_operators.RULE,
    onnx_external.RULE,
    onnx_operators.RULE,
    torchscript_code.RULE,
    custom_layers.RULE,
    hidden_bytes.RULE,
    secrets.RULE,
    home_paths.RULE,
)
TITLES = {
    CLOSED: "A file that is not there or cannot be opened",
    **{rule.id: rule.title for rule in RULES},
    "pickle-global": "A pickle names code that is not known to be data",
    "pickle-trick": "A pickle does what only a hostile one does",
    "pickle-oddity": "A pickle does what its writers do not",
    "source-code": "Code or a program among the files",
    "pointer": "A pointer to a model that is not there",
    "not-recognised": "A file that no format recognises",
    REFUSED: "A reader would have to open or run something",
    INVALID: "A file that breaks its specification",
    INCOMPLETE: "Something that could not be read",
}
