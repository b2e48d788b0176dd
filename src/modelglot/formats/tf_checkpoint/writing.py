"""A checkpoint laid out: data files, the index with a checksum of every tensor, and for a folder the state file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from modelglot.containers.tensorflow.bundle import GRAPH, TEXT, read_bundle
from modelglot.containers.tensorflow.bundle_layout import Item, bundle_files, of_tensor, of_texts
from modelglot.containers.tensorflow.dtypes import NUMBERS
from modelglot.containers.tensorflow.naming import named
from modelglot.containers.tensorflow.object_graph import COUNTER, graph_of, key_of
from modelglot.containers.tensorflow.prefix import INDEX, META, STATE, find
from modelglot.core.encoding import Opaque
from modelglot.core.errors import UnsupportedError, printable
from modelglot.core.format import FileSet
from modelglot.core.layout import Layout, Options, OutFile, Piece, shard
from modelglot.core.limits import Limits
from modelglot.core.model import Model, ties
from modelglot.core.notes import Loss
from modelglot.sources.checksums import crc32c, masked

SETTING = "tf:kind"
_NAME, _COUNT = "model", (1).to_bytes(8, "little")


class Frame(NamedTuple):
    """Of a checkpoint whose weights are written anew: ``keys`` by the names of the tensors, the graph of objects where
    there is one, and the ``.meta`` beside it."""

    keys: dict[str, str]
    objects: bytes | None
    meta: bytes | None


def frame(files: FileSet, limits: Limits) -> Frame:
    """All but the tensors. Raises LimitError for a ``.meta`` that is too long to be held."""
    prefix = find(files, limits).prefix
    bundle = read_bundle(files, prefix, limits)
    meta = None
    if prefix + META in files.names():
        source = files.open(prefix + META)
        limits.check("header", source.size, "the graph beside the data")
        meta = source.pread(0, source.size)
    keys = named(bundle, files.open(prefix + INDEX).path, limits, {}).keys
    return Frame(keys, bundle.object_graph, meta)


def losses(model: Model) -> Iterator[Loss]:
    for name in model.tensors:
        if _bad_name(name):
            shown = printable(name, code=True)
            yield Loss("name", f"tensor {shown}: the name {_bad_name(name)}", "give it another with `--rename`")
    texts = [k for k in model.metadata if not k.startswith(TEXT)]
    if texts:
        keys = ", ".join(printable(k, code=True) for k in texts[:4]) + (" ..." if len(texts) > 4 else "")
        yield Loss("metadata", f"a TensorFlow checkpoint holds no metadata: {len(texts):,} entries ({keys}) are lost")
    opaque = [t.name for t in model.tensors.values() if isinstance(t.encoding, Opaque) and of_tensor(t, t.name) is None]
    if opaque:
        shown = printable(opaque[0], code=True)
        yield Loss("dtype", f"bytes of no type that TensorFlow has: {len(opaque):,} tensors, such as {shown}")
    for group in ties(model.tensors):
        size = model.tensors[group[0]].nbytes * (len(group) - 1)
        shared = ", ".join(printable(n, code=True) for n in group[:4])
        yield Loss("ties", f"{shared} share their bytes and are each written (+{size:,} bytes)", stops=False)


def layout(model: Model, options: Options) -> Layout:
    """Tensors in the order of their keys, as TensorFlow's writer has them; what `losses` names is left out."""
    kept = options.frame if isinstance(options.frame, Frame) else None
    objects = _is_object_based(model, options)
    known = kept.keys if kept and objects == (kept.objects is not None) else {}
    keys = {n: known.get(n) or (key_of(n) if objects else n) for n in model.tensors if not _bad_name(n)}
    names = sorted(keys, key=lambda n: keys[n].encode())
    groups = shard({n: model.tensors[n].nbytes for n in names}, options)
    prefix, folder = _prefix(options)
    made = [[of_tensor(model.tensors[n], keys[n]) for n in group] for group in groups]
    items = [[item for item in group if item is not None] for group in made]
    items[-1] += _texts(model)
    if objects:
        items[-1] += [of_texts(GRAPH, (), [kept.objects])] if kept and kept.objects else _objects(keys, model)
    files = bundle_files(prefix, items)
    if kept and kept.meta is not None:
        files.append(OutFile(prefix + META, len(kept.meta), (Piece(0, kept.meta),)))
    if folder:
        said = prefix.replace("\\", "\\\\").replace('"', '\\"')
        state = f'model_checkpoint_path: "{said}"\nall_model_checkpoint_paths: "{said}"\n'.encode()
        files.append(OutFile(STATE, len(state), (Piece(0, state),)))
    return Layout(tuple(files))


def _is_object_based(model: Model, options: Options) -> bool:
    """As it was asked for; by names unless the source has objects."""
    usual = "object" if model.format == "tf-checkpoint" and model.dialect == "object-based" else "name"
    wanted = options.settings.get(SETTING, usual)
    if wanted not in ("name", "object"):
        raise UnsupportedError(
            f"`{SETTING}` is {printable(wanted, code=True)}",
            hint="`name` for tf.train.load_checkpoint and Saver, `object` for tf.train.Checkpoint",
        )
    return wanted == "object"


def _prefix(options: Options) -> tuple[str, bool]:
    """The prefix, and whether a state file belongs beside it."""
    if options.name is None or options.folder:
        return (options.name or _NAME).removesuffix(INDEX), True
    return options.name.removesuffix(INDEX), False


def _texts(model: Model) -> Iterator[Item]:
    """String tensors that reading gave as metadata."""
    for key, value in model.metadata.items():
        if key.startswith(TEXT) and key.removeprefix(TEXT) not in model.tensors:
            values = [value] if isinstance(value, str) else list(value)
            shape = () if isinstance(value, str) else (len(values),)
            texts = [str(v).encode("utf-8", "surrogateescape") for v in values]
            yield of_texts(key.removeprefix(TEXT), shape, texts)


def _objects(keys: dict[str, str], model: Model) -> Iterator[Item]:
    """The graph of objects, and the counter that `tf.train.Checkpoint` expects."""
    known = dict(keys)
    if COUNTER not in model.tensors:
        known[COUNTER] = key_of(COUNTER)
        number = NUMBERS["i64"]
        yield Item(known[COUNTER].encode(), number, (), len(_COUNT), None, _COUNT, masked(crc32c(_COUNT)))
    yield of_texts(GRAPH, (), [graph_of(known)])


def _bad_name(name: str) -> str | None:
    """What is wrong with a tensor's name as a key."""
    if not name or name[0] == "\0":
        return "is empty" if not name else "begins with a NUL character, as parts of sliced tensors do"
    if name == GRAPH:
        return "is that of the graph of objects"
    try:
        name.encode()
    except UnicodeEncodeError:
        return "is not text"
    return None
