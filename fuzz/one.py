"""One reader under atheris: ``python -m fuzz.one FORMAT CORPUS [libFuzzer options]``."""

from __future__ import annotations

import sys
from importlib import import_module
from pkgutil import walk_packages

import atheris

NAME = sys.argv.pop(1)
with atheris.instrument_imports(include=["modelglot"]):
    from fuzz import FOLDERS
    from fuzz.memory import MemoryFiles, unpack
    from modelglot.core.errors import ModelFileError
    from modelglot.core.limits import Limits
    from modelglot.engine.stream import chunks
    from modelglot.families.recognise import recognise
    from modelglot.features.inspect.report import examine
    from modelglot.formats import registry

    for package in (
        "containers",
        "core",
        "engine",
        "families",
        "formats",
        "sources",
    ):  # what is imported later is not watched
        whole = import_module(f"modelglot.{package}")
        for module in walk_packages(whole.__path__, f"modelglot.{package}."):
            if not module.name.endswith("hdf5.child"):
                import_module(module.name)
    FORMAT = registry.get(NAME)
FILE = "m" + (FORMAT.info.suffixes[0] if FORMAT.info.suffixes else "")
LIMITS = Limits(header=1 << 20, pickle=1 << 20, pickle_opcodes=100_000, member=1 << 22, entries=10_000, tensors=10_000)
MOST = 1 << 22  # bytes of tensors that are read


def test(data: bytes) -> None:
    files = MemoryFiles(unpack(data), None) if NAME in FOLDERS else MemoryFiles({FILE: data}, FILE)
    try:
        model = FORMAT.read(files, LIMITS)
        list(FORMAT.hazards(files, LIMITS))
        examine(
            model, FILE, FORMAT.info.title, "", (), {}, {}, family=recognise(model.tensors, model.metadata, {})
        ).document()
        left = MOST
        for tensor in model.tensors.values():
            left -= tensor.nbytes
            if left < 0:
                break
            for _ in chunks(tensor, lambda number: files.open(model.files[number].name)):
                pass
    except ModelFileError:
        pass


atheris.Setup(sys.argv, test)
atheris.Fuzz()
