"""Keras 3's ``.keras``: a zip of the configuration (``config.json``), its version, and the weights in HDF5.

Specification: keras.io/api/models/model_saving_apis/model_saving_and_loading.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from modelglot.containers.hdf5.datasets import Place
from modelglot.containers.hdf5.described import Packed, Run, described
from modelglot.containers.keras.config import findings, graph
from modelglot.containers.keras.reading import parts, read_config, read_weights
from modelglot.containers.keras.writing import DTYPES, archive, losses
from modelglot.containers.zip import Archive, Member
from modelglot.core.errors import InvalidFileError, UnsupportedError, located, printable
from modelglot.core.format import FileSet, FormatInfo, Match, Probe, Source
from modelglot.core.layout import Layout, Options
from modelglot.core.limits import Limits
from modelglot.core.metadata import Entry, Metadata
from modelglot.core.model import Model, SideFile
from modelglot.core.notes import Finding, Loss
from modelglot.core.tensor import Extent, Stored, Tensor

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_PREFIX = "keras:"


class KerasV3:
    info = FormatInfo(
        name="keras",
        title="Keras 3",
        suffixes=(".keras",),
        spec="https://keras.io/api/models/model_saving_apis/model_saving_and_loading/",
        can=frozenset({"read", "write"}),
        dtypes=DTYPES,
        extra="hdf5",
        framework="tf",
        blurb="a zip of the configuration and the weights; a Lambda layer holds code, which is named and never run",
    )

    def sniff(self, probe: Probe) -> Match | None:
        if probe.is_folder or not probe.head.startswith(b"PK\x03\x04"):
            return None
        if WEIGHTS.encode() in probe.tail and CONFIG.encode() in probe.tail:
            return Match(97, f"a zip with {CONFIG} and {WEIGHTS}")
        return None

    def read(self, files: FileSet, limits: Limits) -> Model:
        source, number, archive = _open(files, limits)
        texts: dict[str, str] = {}
        sides: list[SideFile] = []
        for member in archive.by_name.values():
            if member.name in (CONFIG, METADATA):
                limits.check("index", member.size, f"`{member.name}`")
                texts[member.name] = archive.read(member).decode("utf-8", "surrogateescape")
            elif member.name != WEIGHTS and not member.name.endswith("/"):
                sides.append(SideFile(member.name, archive.extent(member, number), "an asset of the model"))
        if CONFIG not in texts or WEIGHTS not in archive.by_name:
            missing = CONFIG if CONFIG not in texts else WEIGHTS
            raise InvalidFileError(f"the archive has no `{missing}`", path=source.path)
        model, notes = read_config(texts[CONFIG], f"`{CONFIG}`", limits)
        member = archive.by_name[WEIGHTS]
        found: dict[str, Tensor] = {}
        with located(path=source.path, member=WEIGHTS):
            file, place = _weights(source, number, archive, member)
            found, more = read_weights(described(file, source.path, limits), place, member.size, model, limits)
        metadata = Metadata({_PREFIX + name: Entry(text) for name, text in texts.items()})
        return Model(
            self.info.name,
            files.refs(),
            found,
            None,
            metadata,
            parts(found),
            tuple(sides),
            (*archive.notes, *notes, *more),
            graph(model, metadata) if model is not None else None,
        )

    def losses(self, model: Model) -> Iterable[Loss]:
        yield from losses(model)
        if _PREFIX + CONFIG not in model.metadata:
            raise UnsupportedError(
                "a .keras file needs the configuration of a Keras model, which the source has not",
                hint="`--to keras-h5` writes the weights alone, for `model.load_weights`",
            )
        others = [k for k in model.metadata if k not in (_PREFIX + CONFIG, _PREFIX + METADATA)]
        if others:
            keys = ", ".join(printable(k, code=True) for k in others[:4])
            yield Loss("metadata", f"no place in a .keras file: {len(others):,} entries ({keys})")

    def layout(self, model: Model, options: Options) -> Layout:
        """The archive, stored; the configuration as it was read."""
        said = [(n, model.metadata[_PREFIX + n].encode("utf-8", "surrogateescape"))
                for n in (METADATA, CONFIG) if _PREFIX + n in model.metadata]  # fmt: skip
        return Layout((archive(options.name or "model.keras", model, said, WEIGHTS),))

    def hazards(self, files: FileSet, limits: Limits) -> Iterator[Finding]:
        source, _, archive = _open(files, limits)
        member = archive.by_name.get(CONFIG)
        model = read_config(archive.read(member), f"`{CONFIG}`", limits)[0] if member is not None else None
        if model is not None:
            yield from findings(model, source.path)


def _open(files: FileSet, limits: Limits) -> tuple[Source, int, Archive]:
    if files.primary is None:
        raise UnsupportedError("a folder is no .keras file", path=files.root, hint="name the file")
    source = files.open(files.primary)
    return source, files.index(files.primary), Archive(source, limits)


def _weights(source: Source, number: int, archive: Archive, member: Member) -> tuple[Run | Packed, Place]:
    """The HDF5 file inside the archive, and where its bytes are; a compressed one is unpacked to find its datasets."""
    extent = archive.extent(member, number)
    if extent.codec == "raw":

        def stored(offset: int, length: int, codec: str) -> Stored:
            return Stored((Extent(number, extent.offset + offset, length, codec),))

        return Run(source, extent.offset, extent.length), stored

    def packed(offset: int, length: int, codec: str) -> Stored:
        if codec != "raw":
            raise UnsupportedError("compressed datasets in a compressed archive are not read")
        return Stored((extent,), skip=offset)

    return Packed(archive.read(member)), packed


FORMAT = KerasV3()
