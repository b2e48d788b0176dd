"""Keras' HDF5 files: whole models of Keras 1 and 2 (``.h5``), weights alone (``.h5``, and ``.weights.h5`` of Keras 3).

Specification: the HDF5 file format; keras.io/api/models/model_saving_apis. Other HDF5 files are read as what they
hold: every dataset a tensor.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from modelglot.containers import strict_json
from modelglot.containers.hdf5.described import MAGIC, Run, described
from modelglot.containers.keras.config import findings, graph
from modelglot.containers.keras.reading import parts, read_config, read_weights
from modelglot.containers.keras.writing import DTYPES, losses, weights_file
from modelglot.core.errors import InvalidFileError, UnsupportedError, located
from modelglot.core.format import FileSet, FormatInfo, Match, Probe
from modelglot.core.layout import Layout, Options
from modelglot.core.limits import Limits
from modelglot.core.metadata import Entry, Metadata
from modelglot.core.model import Model
from modelglot.core.notes import Finding, Loss
from modelglot.core.tensor import Extent, Stored, Tensor

_CONFIG, _UNPACKED = "model_config", "model.weights.h5"
_INDEX = ".weights.json"
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
        if probe.name.endswith(_INDEX) and b'"weight_map"' in probe.head:
            return Match(96, "the index of Keras weights in several files")
        return Match(92, "an HDF5 file") if probe.head.startswith(MAGIC) else None

    def read(self, files: FileSet, limits: Limits) -> Model:
        name = files.primary or _of_folder(files.names())
        if name is None:
            raise UnsupportedError(
                "the folder holds no HDF5 file, or several", path=files.root, hint="name one of them"
            )
        parts_of = _shards(files, name, limits) if name.endswith(_INDEX) else [name]
        found = [_one(files, part, _beside(files, name, limits), limits) for part in parts_of]
        tensors: dict[str, Tensor] = {}
        for part in found:
            twice = next((n for n in part.tensors if n in tensors), None)
            if twice is not None:
                raise InvalidFileError("two files of the set hold it", path=files.root, tensor=twice)
            tensors.update(part.tensors)
        dialect = found[0].dialect
        if dialect is None and any("/vars/" in n for n in tensors):
            dialect = "weights, Keras 3"
        notes = [note for part in found for note in part.notes]
        return Model(
            self.info.name,
            files.refs(),
            tensors,
            dialect,
            found[0].metadata,
            parts(tensors),
            notes=tuple(dict.fromkeys(notes)),
            graph=found[0].graph,
        )

    def losses(self, model: Model) -> Iterable[Loss]:
        yield from losses(model)
        if len(model.metadata):
            keys = ", ".join(f"`{k}`" for k in list(model.metadata)[:4])
            hint = "`--to keras` keeps the configuration" if "keras:config.json" in model.metadata else None
            yield Loss(
                "metadata", f"a file of weights holds no metadata: {len(model.metadata):,} entries ({keys})", hint
            )

    def layout(self, model: Model, options: Options) -> Layout:
        """One file, a dataset a tensor under its name."""
        return Layout((weights_file(options.name or "model.weights.h5", model),))

    def hazards(self, files: FileSet, limits: Limits) -> Iterator[Finding]:
        if files.primary is None:
            return
        source = files.open(files.primary)
        with located(path=source.path):
            config = described(Run(source, 0, source.size), source.path, limits, (_CONFIG,)).texts.get(_CONFIG)
        model = read_config(config, f"`{_CONFIG}`", limits)[0] if config is not None else None
        if model is not None:
            yield from findings(model, source.path)


def _one(files: FileSet, name: str, beside: str | None, limits: Limits) -> Model:
    """The contents of one HDF5 file."""
    source, number = files.open(name), files.index(name)

    def place(offset: int, length: int, codec: str) -> Stored:
        return Stored((Extent(number, offset, length, codec),))

    with located(path=source.path):
        file = described(Run(source, 0, source.size), source.path, limits, _ATTRIBUTES)
        texts = file.texts
        config = texts.get(_CONFIG) or beside
        model, notes = read_config(config, f"`{_CONFIG}`", limits) if config is not None else (None, [])
        weights = read_weights(file, place, source.size, model, limits)
        layered = "layer_names" in file.names
    metadata = Metadata({f"keras:{key}": Entry(text) for key, text in texts.items()})
    return Model(
        "keras-h5",
        (),
        weights.tensors,
        "model" if _CONFIG in texts else "weights" if layered else None,
        metadata,
        notes=(*notes, *weights.notes),
        graph=graph(model, metadata) if model is not None else None,
    )


def _shards(files: FileSet, name: str, limits: Limits) -> list[str]:
    """The files that the index of a set of weights names."""
    source = files.open(name)
    files.index(name, "side")
    limits.check("index", source.size, "the index of the weights")
    with located(path=source.path):
        value = strict_json.loads(source.pread(0, source.size), what="the index of the weights")
        places = value.get("weight_map") if isinstance(value, dict) else None
        if not isinstance(places, dict):
            raise InvalidFileError("the index of the weights needs an object `weight_map`")
        listed = [f for entry in places.values() for f in (entry if isinstance(entry, list) else [entry])]
        if not listed or not all(isinstance(f, str) for f in listed):
            raise InvalidFileError("`weight_map` gives something else than file names")
    limits.check("entries", len(set(listed)), "files of the set")
    return list(dict.fromkeys(listed))


def _of_folder(names: Sequence[str]) -> str | None:
    """The file that stands for a folder: that of an unpacked .keras archive, or the only one there is."""
    indexes = [n for n in names if "/" not in n and n.endswith(_INDEX)]
    found = indexes or [n for n in names if "/" not in n and n.endswith(_SUFFIXES)]
    return _UNPACKED if _UNPACKED in found else found[0] if len(found) == 1 else None


def _beside(files: FileSet, name: str, limits: Limits) -> str | None:
    """The configuration that an unpacked .keras archive has beside its weights."""
    if name != _UNPACKED or not {"config.json", "metadata.json"} <= set(files.names()):
        return None
    source = files.open("config.json")
    limits.check("index", source.size, "`config.json`")
    return source.pread(0, source.size).decode("utf-8", "surrogateescape")


FORMAT = KerasH5()
