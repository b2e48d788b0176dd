"""A checkpoint laid out: data files, the index with a checksum of every tensor, and for a folder the state file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from modelglot.containers import sstable
from modelglot.containers.tensorflow import strings
from modelglot.containers.tensorflow.bundle import GRAPH, TEXT
from modelglot.containers.tensorflow.dtypes import KINDS, NUMBERS, STRING
from modelglot.containers.tensorflow.entry import entry_bytes, header_bytes
from modelglot.containers.tensorflow.object_graph import COUNTER, graph_of, key_of
from modelglot.containers.tensorflow.prefix import INDEX, STATE, data_name
from modelglot.core.errors import UnsupportedError, printable
from modelglot.core.layout import Fixup, Layout, Options, OutFile, Piece, Slot, shard
from modelglot.core.model import Model, ties
from modelglot.core.notes import Loss
from modelglot.core.tensor import Tensor
from modelglot.sources.checksums import crc32c, masked

SETTING = "tf:kind"
_NAME, _COUNT = "model", (1).to_bytes(8, "little")


class _Stored(NamedTuple):
    """One entry: ``tensor`` is a name of the model, or None where ``data`` are the bytes."""

    key: bytes
    dtype: int
    shape: tuple[int, ...]
    length: int
    tensor: str | None = None
    data: bytes = b""
    crc: int = 0


def losses(model: Model) -> Iterator[Loss]:
    for name in model.tensors:
        if _bad_name(name):
            shown = printable(name, code=True)
            yield Loss("name", f"tensor {shown}: the name {_bad_name(name)}", "give it another with `--rename`")
    texts = [k for k in model.metadata if not k.startswith(TEXT)]
    if texts:
        keys = ", ".join(printable(k, code=True) for k in texts[:4]) + (" ..." if len(texts) > 4 else "")
        yield Loss("metadata", f"a TensorFlow checkpoint holds no metadata: {len(texts):,} entries ({keys}) are lost")
    for group in ties(model.tensors):
        size = model.tensors[group[0]].nbytes * (len(group) - 1)
        shared = ", ".join(printable(n, code=True) for n in group[:4])
        yield Loss("ties", f"{shared} share their bytes and are each written (+{size:,} bytes)", stops=False)


def layout(model: Model, options: Options) -> Layout:
    """Tensors in the order of their keys, as TensorFlow's writer has them; what `losses` names is left out."""
    objects = _is_object_based(options)
    keys = {n: key_of(n) if objects else n for n in model.tensors if not _bad_name(n)}
    names = sorted(keys, key=lambda n: keys[n].encode())
    groups = shard({n: model.tensors[n].nbytes for n in names}, options)
    prefix, folder = _prefix(options)
    items = [[_of_tensor(model.tensors[n], keys[n]) for n in group] for group in groups]
    items[-1] += _texts(model)
    if objects:
        items[-1] += _objects(keys, model)
    items = [sorted(group) for group in items]
    files, entries, waiting = [], list[tuple[bytes, bytes]](), dict[bytes, tuple[int, int, int]]()
    for number, group in enumerate(items):
        at, slots, pieces = 0, list[Slot](), list[Piece]()
        for item in group:
            entries.append((item.key, entry_bytes(item.dtype, item.shape, number, at, item.length, item.crc)))
            if item.tensor is not None:
                slots.append(Slot(item.tensor, at, item.length))
                waiting[item.key] = number, at, item.length
            else:
                pieces.append(Piece(at, item.data))
            at += item.length
        files.append(OutFile(data_name(prefix, number, len(items)), at, tuple(pieces), tuple(slots)))
    entries.sort()
    table = sstable.build([(b"", header_bytes(len(items))), *entries])
    fixups: list[list[Fixup]] = [[] for _ in files]
    for (key, value), place in zip(entries, table.values[1:], strict=True):
        if key in waiting:
            number, at, length = waiting[key]
            where = (place + len(value) - 4,)
            fixups[number].append(Fixup("crc32c-masked", at, length, where, prefix + INDEX))
    files = [f._replace(fixups=tuple(made)) for f, made in zip(files, fixups, strict=True)]
    files.append(OutFile(prefix + INDEX, len(table.data), (Piece(0, table.data),), (), table.fixups))
    if folder:
        said = prefix.replace("\\", "\\\\").replace('"', '\\"')
        state = f'model_checkpoint_path: "{said}"\nall_model_checkpoint_paths: "{said}"\n'.encode()
        files.append(OutFile(STATE, len(state), (Piece(0, state),)))
    return Layout(tuple(files))


def _is_object_based(options: Options) -> bool:
    wanted = options.settings.get(SETTING, "name")
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


def _of_tensor(tensor: Tensor, key: str) -> _Stored:
    number = tensor.extra.get("tf:dtype")
    kind = KINDS.get(number) if isinstance(number, int) else None
    if not isinstance(number, int) or kind is None or kind.dtype != tensor.dtype:  # a quantized type stays that
        number = NUMBERS[tensor.dtype.name]
    return _Stored(key.encode(), number, tensor.shape, tensor.nbytes, tensor.name)


def _texts(model: Model) -> Iterator[_Stored]:
    """String tensors that reading gave as metadata."""
    for key, value in model.metadata.items():
        if not key.startswith(TEXT) or key.removeprefix(TEXT) in model.tensors:
            continue
        values = [value] if isinstance(value, str) else list(value)
        shape = () if isinstance(value, str) else (len(values),)
        data, crc = strings.encode([str(v).encode("utf-8", "surrogateescape") for v in values])
        yield _Stored(key.removeprefix(TEXT).encode(), STRING, shape, len(data), None, data, crc)


def _objects(keys: dict[str, str], model: Model) -> Iterator[_Stored]:
    """The graph of objects, and the counter that `tf.train.Checkpoint` expects."""
    known = dict(keys)
    if COUNTER not in model.tensors:
        known[COUNTER] = key_of(COUNTER)
        number = NUMBERS["i64"]
        yield _Stored(known[COUNTER].encode(), number, (), len(_COUNT), None, _COUNT, masked(crc32c(_COUNT)))
    data, crc = strings.encode([graph_of(known)])
    yield _Stored(GRAPH.encode(), STRING, (), len(data), None, data, crc)


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
