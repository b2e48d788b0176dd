"""A model that was read, as the values of its row: what it is, what it may do, which bytes it has."""

from __future__ import annotations

import os
from typing import NamedTuple

from modelglot.api.folders import config_of
from modelglot.api.methods import quantization_config
from modelglot.api.scanning import scan
from modelglot.core.encoding import Blocks
from modelglot.core.errors import ModelFileError, printable
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.core.tensor import Missing
from modelglot.engine.digest import model_digest, tensor_digests
from modelglot.engine.pool import SourcePool
from modelglot.families.recognise import recognise
from modelglot.features.catalog.licence import CARD, CARD_BYTES, licence_of
from modelglot.features.catalog.row import Row, stamp
from modelglot.features.catalog.tree import entry
from modelglot.features.inspect.report import type_totals
from modelglot.passes.component import choose
from modelglot.passes.recipes.file_types import file_type_name
from modelglot.sources.opening import is_remote, open_source

_FAR_THREADS = 4  # requests for weights at a time: a server is waited for


def described(row: Row, model: Model, digests: bool, known: tuple[str, str, str] | None) -> None:
    """Fill in the row. ``known`` are the digests of the last time, good where the weights' stamp is the same."""
    row.format = model.format
    row.tensors, row.parameters, row.tensor_bytes = len(model.tensors), model.parameters, model.nbytes
    row.dtypes = tuple(t.type for t in type_totals(model.tensors))
    row.family = recognise(model.tensors, model.metadata, config_of(model, row.path, Limits()))
    row.quantization = _quantization(model)
    row.licence = licence_of(model.metadata, _card(row.folder))
    _scanned(row)
    if digests and known and known[0] == stamp(f for f in row.files if f.role == "weights"):
        _, row.digest, row.contents = known
    elif digests:
        try:
            row.digest, row.contents = _digests(model)
        except ModelFileError as error:
            place = f"tensor {printable(error.tensor, code=True)}: " if error.tensor else ""
            row.digest_error = place + error.what


class Digests(NamedTuple):
    named: str
    contents: str


def _digests(model: Model) -> Digests:
    """As `modelglot digest` has it; and the same with each tensor called by what it holds. Raises its errors."""
    model, _, _ = choose(model, None)
    missing = next((t for t in model.tensors.values() if isinstance(t.data, Missing)), None)
    if missing is not None:
        why = missing.data.why if isinstance(missing.data, Missing) else ""
        raise ModelFileError(why, tensor=missing.name)
    pool = SourcePool(model.files)
    far = any(is_remote(file.path) for file in model.files)
    try:
        found = tensor_digests(model.tensors.values(), pool, threads=_FAR_THREADS if far else 1)
    finally:
        pool.close()
    return Digests(model_digest(model.tensors, found), _contents(model, found))


def _contents(model: Model, found: dict[str, str]) -> str:
    from blake3 import blake3

    lines = sorted(
        f"{tensor.type_name}\0{','.join(map(str, tensor.shape))}\0{found[name]}\n"
        for name, tensor in model.tensors.items()
    )
    return blake3("".join(lines).encode()).hexdigest()


def _quantization(model: Model) -> str | None:
    """GGUF's recipe; the method that config.json names; else the block type that most bytes are in."""
    stated = file_type_name(model.metadata.get("general.file_type")) if model.format == "gguf" else None
    if stated is not None:
        return stated
    method = quantization_config(model).get("quant_method")
    if isinstance(method, str):
        return method
    blocks = {t.type_name for t in model.tensors.values() if isinstance(t.encoding, Blocks)}
    return next((t.type for t in type_totals(model.tensors) if t.type in blocks), None)


def _card(folder: str) -> bytes | None:
    path = os.path.join(folder, CARD)
    if entry(path) is None:
        return None
    try:
        with open_source(path) as source:
            return source.pread(0, min(source.size, CARD_BYTES))
    except ModelFileError:
        return None


def _scanned(row: Row) -> None:
    """The worst verdict of the model's files; of a folder also of what lies beside the weights."""
    names = [f.name for f in row.files if f.role == "weights" or row.whole]
    report = scan([os.path.join(row.folder, name) for name in names], jobs=1)
    row.verdict, row.incomplete = report.verdict, report.incomplete
    row.findings = tuple(sorted({f.rule for file in report.files for f in file.findings}))
