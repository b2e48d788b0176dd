"""Weights put into a SavedModel that exists: its variables are written anew, all other files are kept as they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from modelglot.containers.tensorflow.bundle import GRAPH as OBJECTS
from modelglot.containers.tensorflow.bundle import read_bundle
from modelglot.containers.tensorflow.bundle_layout import Item, bundle_files, of_tensor, of_texts
from modelglot.containers.tensorflow.naming import named
from modelglot.containers.tensorflow.prefix import DATA, INDEX
from modelglot.core.errors import UnsupportedError
from modelglot.core.format import FileSet
from modelglot.core.layout import Layout, Options, OutFile, Piece, shard
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.core.notes import Loss
from modelglot.formats.tf_saved_model.reading import FINGERPRINT, GRAPH, PREFIX


class Frame(NamedTuple):
    """``files`` as they are, by name, the graph last; ``keys`` of the variables by name; ``texts`` are the bundle's own
    string tensors."""

    files: dict[str, bytes]
    keys: dict[str, str]
    texts: tuple[Item, ...]


def losses(model: Model) -> Iterator[Loss]:
    if model.format != "tf-saved-model":
        raise UnsupportedError(
            "a SavedModel is not made of weights alone: it holds a graph",
            hint="`--into FOLDER` puts them into one that exists; `--to tf-checkpoint` writes them alone",
        )
    if any(key.startswith("fingerprint.") for key in model.metadata):
        yield Loss("fingerprint", "the fingerprint, which is that of the old variables", stops=False)


def frame(files: FileSet, limits: Limits) -> Frame:
    """All but the variables and the fingerprint of them."""
    name = files.primary or GRAPH
    kept: dict[str, bytes] = {}
    for other in (*(n for n in files.names(2) if n != name), name):
        if other.startswith(PREFIX + ".") or DATA.match(other) or other == FINGERPRINT:
            continue
        source = files.open(other)
        limits.check("header", source.size, f"`{other}`, which is kept")
        kept[other] = source.pread(0, source.size)
    bundle = read_bundle(files, PREFIX, limits)
    items = [of_texts(key, shape, texts) for key, (shape, texts) in bundle.texts.items()]
    if bundle.object_graph is not None:
        items.append(of_texts(OBJECTS, (), [bundle.object_graph]))
    return Frame(kept, named(bundle, files.open(PREFIX + INDEX).path, limits, {}).keys, tuple(items))


def layout(model: Model, options: Options) -> Layout:
    """The kept files, the variables under their old keys, and the graph last."""
    kept = options.frame
    if not isinstance(kept, Frame):
        raise UnsupportedError(
            "a SavedModel is written into one that exists", hint="give it with `--into FOLDER`, and a folder as target"
        )
    if options.name is not None and not options.folder:
        raise UnsupportedError("a SavedModel is a folder", hint="end the target's name with `/`")
    groups = shard({n: t.nbytes for n, t in model.tensors.items()}, options)
    items: list[list[Item]] = []
    for group in groups:
        tensors = [model.tensors[n] for n in group]
        made = [of_tensor(t, kept.keys.get(t.name, t.name)) for t in tensors]
        items.append([item for item in made if item is not None])
    items[-1] += kept.texts
    others = [OutFile(n, len(data), (Piece(0, data),)) for n, data in kept.files.items()]
    return Layout((*others[:-1], *bundle_files(PREFIX, items), others[-1]))
