"""verify(): every checksum that a file, its name or a receipt has, held against its bytes."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from modelglot.api import ollama_store
from modelglot.api.reading import PathLike, detect, existing, read_model
from modelglot.api.receipts import FILES, TENSORS, file_digest, read_receipt
from modelglot.core.errors import ModelFileError
from modelglot.core.format import Source
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.core.tensor import Missing, Stored
from modelglot.core.urls import public
from modelglot.engine.digest import tensor_digest, tensor_digests
from modelglot.engine.pool import SourcePool
from modelglot.features.verify.members import zip_checks
from modelglot.features.verify.report import NONE, RIGHT, WRONG, Check, VerifyReport
from modelglot.formats import registry
from modelglot.sources.file import FileSource
from modelglot.sources.opening import is_remote, open_source

_SHA256 = re.compile(r"(?:sha256[-:])?([0-9a-f]{64})")
_STEP = 8 << 20


def verify(
    path: PathLike, *, receipt: PathLike | None = None, format: str | None = None, limits: Limits | None = None
) -> VerifyReport:
    """What can be said of the wholeness of a file or folder: its structure, every byte that a tensor has, and the
    checksums that the format, the name of the file (Ollama's and the hub's blobs) or ``receipt`` keep.

    Raises CannotOpenError, UnknownFormatError; everything that is wrong inside is in the report.
    """
    given = os.fspath(path)
    stored = ollama_store.find(given, limits) if format is None else None
    text = stored.model if stored else existing(given)
    bounds = limits or Limits()
    chosen = registry.get(format) if format else detect(text)[0]
    told = read_receipt(receipt) if receipt is not None else None
    checks: list[Check] = []
    try:
        model = read_model(text, format=chosen.info.name, limits=limits)
    except ModelFileError as error:
        checks.append(Check(WRONG, error.what, error.tensor))
        return VerifyReport(public(given), chosen.info.title, (*checks, *_named(text)))
    missing = [n for n, t in model.tensors.items() if isinstance(t.data, Missing)]
    checks += [Check(WRONG, "its bytes are not there", name) for name in missing]
    kept = list(_kept(model, bounds))
    checks += [*kept, *_named(text), *(_receipt(model, text, told) if told is not None else ())]
    if told is None and not any(c.state == RIGHT for c in checks):
        checks.append(Check(NONE, f"{chosen.info.title} keeps no checksum, and there is no receipt to compare with"))
    return VerifyReport(public(given), chosen.info.title, tuple(checks))


def _kept(model: Model, limits: Limits) -> Iterator[Check]:
    """What the format itself keeps; and all bytes of tensors are read, so that what is compressed is unpacked."""
    for ref in model.files:
        with open_source(ref.path, far=False) as source:
            if _is_zip(source):
                try:
                    yield from zip_checks(source, limits)
                except ModelFileError as error:
                    yield Check(WRONG, error.what, ref.name)
    pool, right, sums = SourcePool(model.files), 0, 0
    try:
        for tensor in model.tensors.values():
            if isinstance(tensor.data, Missing):
                continue
            try:
                tensor_digest(tensor, pool)
            except ModelFileError as error:
                yield Check(WRONG, error.what, tensor.name)
                continue
            right += 1
            sums += isinstance(tensor.data, Stored) and tensor.data.crc32c is not None
    finally:
        pool.close()
    if sums:
        yield Check(RIGHT, f"CRC-32C of {sums:,} tensors")
    yield Check(NONE if not sums else RIGHT, f"{right:,} tensors read to their ends")


def _is_zip(source: Source) -> bool:
    return source.size > 22 and source.pread(0, 4) == b"PK\x03\x04"


def _named(path: str) -> Iterator[Check]:
    """Blobs that are called after their SHA-256: Ollama's store, large files of the hub's cache."""
    if is_remote(path):
        return
    real = os.path.realpath(path)
    fits = _SHA256.fullmatch(os.path.basename(real))
    if fits is None or os.path.isdir(real):
        return
    hasher = hashlib.sha256()
    with FileSource(real) as source:
        for at in range(0, source.size, _STEP):
            hasher.update(source.pread(at, min(_STEP, source.size - at)))
    right = hasher.hexdigest() == fits[1]
    yield Check(RIGHT, "the SHA-256 that is its name") if right else Check(WRONG, "its SHA-256 is not its name")


def _receipt(model: Model, path: str, told: Mapping[str, Any]) -> Iterator[Check]:
    """Whole files first; where one differs, which tensors do."""
    files = told.get(FILES)
    folder = path if os.path.isdir(path) else os.path.dirname(path)
    wrong = []
    for name, stated in files.items() if isinstance(files, dict) else ():
        place = os.path.join(folder, os.path.basename(str(name)))
        if not os.path.isfile(place):
            wrong.append(name)
            yield Check(WRONG, "the receipt has a file that is not there", str(name))
        elif not isinstance(stated, dict) or file_digest(place) != stated.get("blake3"):
            wrong.append(name)
            yield Check(WRONG, "the file is not the one that was written", str(name))
    if files and not wrong:
        yield Check(RIGHT, f"BLAKE3 of {len(files):,} file{'s' * (len(files) > 1)} in the receipt")
        return
    pool = SourcePool(model.files)
    try:
        whole = {n: t for n, t in model.tensors.items() if not isinstance(t.data, Missing)}
        found = _digests(replace(model, tensors=whole), pool)
    finally:
        pool.close()
    stated = told[TENSORS]
    differ = [n for n in {**stated, **found} if stated.get(n) != found.get(n)]
    yield from (Check(WRONG, "the tensor is not the one that was written", name) for name in differ)
    if not differ:
        yield Check(RIGHT, f"BLAKE3 of {len(found):,} tensors in the receipt")


def _digests(model: Model, pool: SourcePool) -> dict[str, str]:
    try:
        return tensor_digests(model.tensors.values(), pool)
    except ModelFileError:  # the one that does not read was told of before
        made = {}
        for name, tensor in model.tensors.items():
            try:
                made[name] = tensor_digest(tensor, pool)
            except ModelFileError:
                continue
        return made
