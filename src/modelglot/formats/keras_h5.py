"""Keras' HDF5 files: whole models of Keras 1 and 2 (``.h5``), weights alone (``.h5``, and ``.weights.h5`` of Keras 3).

Specification: the HDF5 file format; keras.io/api/models/model_saving_apis. Other HDF5 files are read as what they
hold: every dataset a tensor.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from modelglot.containers.hdf5.opened import MAGIC, Window, opened
from modelglot.containers.keras.config import findings, graph
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

_CONFIG, _UNPACKED = "model_config", "model.weights.h5"
_SUFFIXES = (".weights.h5", ".h5", ".hdf5", ".hdf")
_ATTRIBUTES = (_CONFIG, "training_config", "keras_version", "backend")


class KerasH5:
    info = FormatInfo(
        name="keras-h5",
        title="Keras HDF5",
        suffixes=_SUFFIXES,
        spec="https://keras.io/api/models/model_saving_apis/",
        can=frozenset({"read", "write"}),
        dtypes=DTYPES,
        extra="hdf5",
        framework="tf",
        blurb="a model of Keras 1 or 2 with its configuration, or weights by path; written as weights",
    )

    def sniff(self, probe: Probe) -> Match | None:
        if probe.is_folder:
            name = _of_folder(probe.names)
            return Match(84 if name == _UNPACKED else 62, f"holds {name}") if name else None
        return Match(92, "an HDF5 file") if probe.head.startswith(MAGIC) else None

    def read(self, files: FileSet, limits: Limits) -> Model:
        name = files.primary or _of_folder(files.names())
        if name is None:
            raise UnsupportedError(
                "the folder holds no HDF5 file, or several", path=files.root, hint="name one of them"
            )
        source, number = files.open(name), files.index(name)

        def place(offset: int, length: int, codec: str) -> Stored:
            return Stored((Extent(number, offset, length, codec),))

        with located(path=source.path), opened(Window(source), source.path) as file:
            texts = {name: text for name in _ATTRIBUTES if (text := attribute(file, name)) is not None}
            config = texts.get(_CONFIG) or _beside(files, name, limits)
            model, notes = read_config(config, f"`{_CONFIG}`", limits) if config is not None else (None, [])
            weights = read_weights(file, place, source.size, model, limits)
            layered = "layer_names" in file.attrs
        dialect = "model" if _CONFIG in texts else "weights" if layered else None
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
            graph=graph(model) if model is not None else None,
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


def _of_folder(names: Sequence[str]) -> str | None:
    """The file that stands for a folder: that of an unpacked .keras archive, or the only one there is."""
    found = [n for n in names if "/" not in n and n.endswith(_SUFFIXES)]
    return _UNPACKED if _UNPACKED in found else found[0] if len(found) == 1 else None


def _beside(files: FileSet, name: str, limits: Limits) -> str | None:
    """The configuration that an unpacked .keras archive has beside its weights."""
    if name != _UNPACKED or not {"config.json", "metadata.json"} <= set(files.names()):
        return None
    source = files.open("config.json")
    limits.check("index", source.size, "`config.json`")
    return source.pread(0, source.size).decode("utf-8", "surrogateescape")


FORMAT = KerasH5()
