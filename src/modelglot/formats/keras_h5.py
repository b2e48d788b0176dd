"""Keras' HDF5 files: whole models of Keras 1 and 2 (``.h5``), weights alone (``.h5``, and ``.weights.h5`` of Keras 3).

Specification: the HDF5 file format; keras.io/api/models/model_saving_apis. Other HDF5 files are read as what they
hold: every dataset a tensor.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from modelglot.containers.hdf5.opened import MAGIC, Window, opened
from modelglot.containers.keras.config import findings
from modelglot.containers.keras.reading import attribute, parts, read_config, read_weights
from modelglot.containers.keras.writing import DTYPES, losses, weights_file
from modelglot.core.errors import UnsupportedError, located
from modelglot.core.format import FileSet, FormatInfo, Match, Probe
from modelglot.core.layout import Layout, Options
from modelglot.core.limits import Limits
from modelglot.core.metadata import Entry, Metadata
from modelglot.core.model import Model
from modelglot.core.notes import Finding, Loss
from modelglot.core.tensor import Extent, Stored

_CONFIG = "model_config"
_ATTRIBUTES = (_CONFIG, "training_config", "keras_version", "backend")


class KerasH5:
    info = FormatInfo(
        name="keras-h5",
        title="Keras HDF5",
        suffixes=(".weights.h5", ".h5", ".hdf5", ".hdf"),
        spec="https://keras.io/api/models/model_saving_apis/",
        can=frozenset({"read", "write"}),
        dtypes=DTYPES,
        extra="hdf5",
        framework="tf",
        blurb="a model of Keras 1 or 2 with its configuration, or weights by path; written as weights",
    )

    def sniff(self, probe: Probe) -> Match | None:
        if not probe.is_folder and probe.head.startswith(MAGIC):
            return Match(92, "an HDF5 file")
        return None

    def read(self, files: FileSet, limits: Limits) -> Model:
        if files.primary is None:
            raise UnsupportedError("a folder is no HDF5 file", path=files.root, hint="name the file")
        source, number = files.open(files.primary), files.index(files.primary)

        def place(offset: int, length: int, codec: str) -> Stored:
            return Stored((Extent(number, offset, length, codec),))

        with located(path=source.path), opened(Window(source), source.path) as file:
            texts = {name: text for name in _ATTRIBUTES if (text := attribute(file, name)) is not None}
            config = texts.get(_CONFIG)
            model, notes = read_config(config, f"`{_CONFIG}`", limits) if config is not None else (None, [])
            weights = read_weights(file, place, source.size, model, limits)
            layered = "layer_names" in file.attrs
        dialect = "model" if config is not None else "weights" if layered else None
        if dialect is None and any("/vars/" in name for name in weights.tensors):
            dialect = "weights, Keras 3"
        metadata = Metadata({f"keras:{name}": Entry(text) for name, text in texts.items()})
        return Model(
            self.info.name,
            files.refs(),
            weights.tensors,
            dialect,
            metadata,
            parts(weights.tensors),
            notes=(*notes, *weights.notes),
        )

    def losses(self, model: Model) -> Iterable[Loss]:
        yield from losses(model)
        if len(model.metadata):
            keys = ", ".join(f"`{k}`" for k in list(model.metadata)[:4])
            yield Loss("metadata", f"a file of weights holds no metadata: {len(model.metadata):,} entries ({keys})",
                       "`--to keras` keeps the configuration of a Keras model")  # fmt: skip

    def layout(self, model: Model, options: Options) -> Layout:
        """One file, a dataset a tensor under its name."""
        return Layout((weights_file(options.name or "model.weights.h5", model).file,))

    def hazards(self, files: FileSet, limits: Limits) -> Iterator[Finding]:
        if files.primary is None:
            return
        source = files.open(files.primary)
        with located(path=source.path), opened(Window(source), source.path) as file:
            config = attribute(file, _CONFIG)
        model = read_config(config, f"`{_CONFIG}`", limits)[0] if config is not None else None
        if model is not None:
            yield from findings(model, source.path)


FORMAT = KerasH5()
