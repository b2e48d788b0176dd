"""safetensors: 8 bytes of length, a JSON header, the tensors. One file, or shards with an index.

Specification: github.com/huggingface/safetensors (README, "Format").
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from math import prod
from typing import Any

from modelglot.containers import strict_json
from modelglot.core.dtype import DTYPES, DType
from modelglot.core.encoding import plain_encoding
from modelglot.core.errors import DamagedFileError, InvalidFileError, ModelFileError, located, printable
from modelglot.core.format import FileSet, FormatInfo, Match, Probe, Source
from modelglot.core.layout import Layout, Options, OutFile, Piece, Slot, align, shard
from modelglot.core.limits import Limits
from modelglot.core.metadata import Metadata
from modelglot.core.model import Model, ties
from modelglot.core.notes import Finding, Loss
from modelglot.core.tensor import Extent, Stored, Tensor
from modelglot.sources.mended import Mended

INDEX = "model.safetensors.index.json"
SUFFIX = ".safetensors"
# In the order in which the reference writer lays them out: widest first, so that every tensor is aligned.
_NAMES = {
    "u64": "U64", "i64": "I64", "f64": "F64", "c64": "C64", "f32": "F32", "u32": "U32", "i32": "I32", "bf16": "BF16",
    "f16": "F16", "u16": "U16", "i16": "I16", "f8_e5m2fnuz": "F8_E5M2FNUZ", "f8_e4m3fnuz": "F8_E4M3FNUZ",
    "f8_e8m0": "F8_E8M0", "f8_e4m3": "F8_E4M3", "f8_e5m2": "F8_E5M2", "i8": "I8", "u8": "U8", "f6_e3m2": "F6_E3M2",
    "f6_e2m3": "F6_E2M3", "f4_e2m1": "F4", "bool": "BOOL",
}  # fmt: skip
_RANK = {name: rank for rank, name in enumerate(_NAMES)}
_KEYS = {"dtype", "shape", "data_offsets"}
_DTYPES = {stored: DTYPES[ours] for ours, stored in _NAMES.items()}


_JSON = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)


class Safetensors:
    info = FormatInfo(
        name="safetensors",
        title="safetensors",
        suffixes=(SUFFIX,),
        spec="https://github.com/huggingface/safetensors#format",
        can=frozenset({"read", "write", "shards", "text-metadata", "folder"}),
        dtypes=frozenset(_NAMES),
        blurb="tensors and text metadata only, by Hugging Face: no graph, no code, no shared tensors",
    )

    def sniff(self, probe: Probe) -> Match | None:
        if probe.is_folder:
            if INDEX in probe.names or any(n.endswith(SUFFIX + ".index.json") for n in probe.names):
                return Match(90, "has a safetensors shard index", "sharded")
            if any(n.endswith(SUFFIX) and "/" not in n for n in probe.names):
                return Match(85, "holds .safetensors files")
            return None
        if probe.name.endswith(SUFFIX + ".index.json"):
            return Match(100, "a safetensors shard index", "sharded")
        head = probe.head
        length = int.from_bytes(head[:8], "little")
        if len(head) >= 9 and head[8:9] == b"{" and length <= 100_000_000:
            return Match(95, "a length and a JSON header")
        if probe.name.endswith(SUFFIX) and not head.startswith((b"version https://git-lfs", b"<", b"PK", b"GGUF")):
            return Match(40, "only the name says so")
        return None

    def read(self, files: FileSet, limits: Limits) -> Model:
        return self._read(files, limits, self._read_one)

    def salvage(self, files: FileSet, limits: Limits) -> Model:
        """Also of several files that were put into one."""
        return self._read(files, limits, self._salvage_one, damaged=True)

    def _read(
        self, files: FileSet, limits: Limits, one: Callable[[FileSet, Limits, str], Model], *, damaged: bool = False
    ) -> Model:
        name = files.primary or self._main(files)
        if name.endswith(".json"):
            from modelglot.containers.shard_index import read_index, read_sharded

            index = read_index(files, name, limits)
            return read_sharded(files, limits, index, lambda n: one(files, limits, n), self.info.name, damaged=damaged)
        return one(files, limits, name)

    def _salvage_one(self, files: FileSet, limits: Limits, name: str) -> Model:
        from modelglot.containers.salvage import joined

        return joined(files, name, _parts(files.open(name), limits), lambda part: self._read_one(part, limits, name))

    def _main(self, files: FileSet) -> str:
        """The file that stands for a folder: its index, `model.safetensors`, or the only one there is."""
        names = [n for n in files.names() if "/" not in n]
        indexes = [n for n in names if n.endswith(SUFFIX + ".index.json")]
        for choice in (INDEX, "model" + SUFFIX, *indexes):
            if choice in names:
                return choice
        found = [n for n in names if n.endswith(SUFFIX)]
        if len(found) != 1:
            raise InvalidFileError(
                f"the folder holds {len(found)} .safetensors files and no index",
                path=files.root,
                detail=", ".join(printable(n) for n in found[:6]),
                hint="name one of the files",
            )
        return found[0]

    def _read_one(self, files: FileSet, limits: Limits, name: str) -> Model:
        source = files.open(name)
        number = files.index(name)
        with located(path=source.path):
            header, start = _header(source.pread, source.size, limits)
            metadata = _metadata(header.pop("__metadata__", {}))
            limits.check("tensors", len(header), "tensors in the header")
            tensors = _tensors(header, number, start, source.size)
            ordered = sorted(tensors.values(), key=_place)
            end = _check_cover(ordered, start)
            if end != source.size:
                raise InvalidFileError(
                    f"{source.size - end:,} bytes follow the last tensor",
                    offset=end,
                    hint="something was appended to the file; other readers refuse it as well",
                )
        dialect = "mlx" if metadata.get("format") == "mlx" else None
        return Model(self.info.name, files.refs(), {t.name: t for t in ordered}, dialect, metadata)

    def losses(self, model: Model) -> Iterable[Loss]:
        for name in model.tensors:
            if not _is_text(name) or name == "__metadata__":
                why = "is the key of the metadata" if _is_text(name) else "is not text"
                shown = printable(name, code=True)
                yield Loss("name", f"tensor {shown}: the name {why}", "give it another with `--rename`")
        wrong = [key for key, value in model.metadata.items() if not (_is_text(key) and _is_text(str(value)))]
        for key in wrong:
            yield Loss("metadata", f"metadata {printable(key, code=True)} is not text", "leave it out")
        for group in ties(model.tensors):
            size = model.tensors[group[0]].nbytes * (len(group) - 1)
            names = ", ".join(printable(n, code=True) for n in group[:4])
            yield Loss(
                "ties",
                f"{names} share their bytes and are each written (+{size:,} bytes)",
                "drop the copies with `--exclude`, if your loader ties them",
                stops=False,
            )

    def layout(self, model: Model, options: Options) -> Layout:
        """What `losses` says has no name is left out."""
        sizes = {n: t.nbytes for n, t in model.tensors.items() if n != "__metadata__" and _is_text(n)}
        groups = shard(sizes, options)
        if len(groups) == 1:
            return Layout((self._file(options.name or "model" + SUFFIX, model, groups[0], sizes),))
        from modelglot.containers.shard_index import index_bytes

        stem = (options.name or "model" + SUFFIX).removesuffix(SUFFIX)
        outputs, weight_map = [], {}
        for number, group in enumerate(groups, 1):
            name = f"{stem}-{number:05}-of-{len(groups):05}{SUFFIX}"
            outputs.append(self._file(name, model, group, sizes))
            weight_map.update(dict.fromkeys(group, name))
        index = index_bytes(weight_map, sum(sizes.values()))
        outputs.append(OutFile(f"{stem}{SUFFIX}.index.json", len(index), (Piece(0, index),)))
        return Layout(tuple(outputs))

    def _file(self, name: str, model: Model, group: list[str], sizes: dict[str, int]) -> OutFile:
        """By dtype, then by name, as the reference writer does: equal tensors and metadata give its very bytes."""
        order = [n for _, n in sorted((_RANK[model.tensors[n].dtype.name], n) for n in group)]
        quoted, kinds, entries = _JSON.encode, dict[tuple[str, tuple[int, ...]], str](), []
        kept = {k: v for k, v in model.metadata.items() if _is_text(k) and _is_text(str(v))}
        if kept:
            entries.append(f'"__metadata__":{quoted(kept)}')
        offset = 0
        for tensor_name in order:  # text put together by hand: a third of the time that a tree of 100,000 entries takes
            tensor, end = model.tensors[tensor_name], offset + sizes[tensor_name]
            kind = tensor.dtype.name, tensor.shape
            middle = kinds.get(kind)
            if middle is None:
                shape = ",".join(map(str, tensor.shape))
                middle = kinds[kind] = f':{{"dtype":"{_NAMES[kind[0]]}","shape":[{shape}],"data_offsets":['
            entries.append(f"{quoted(tensor_name)}{middle}{offset},{end}]}}")
            offset = end
        text = f"{{{','.join(entries)}}}".encode()
        text = text.ljust(align(len(text), 8))
        start = at = 8 + len(text)
        slots = []
        for tensor_name in order:
            slots.append(Slot(tensor_name, at, sizes[tensor_name]))
            at += sizes[tensor_name]
        head = Piece(0, (start - 8).to_bytes(8, "little") + text)
        return OutFile(name, start + offset, (head,), tuple(slots))

    def hazards(self, files: FileSet, limits: Limits) -> Iterable[Finding]:
        return ()


def _is_text(value: str) -> bool:
    """JSON in UTF-8 has no lone surrogates, which pickles and GGUF can have in names."""
    try:
        return value.isascii() or bool(value.encode()) or not value
    except UnicodeEncodeError:
        return False


def _header(pread: Any, size: int, limits: Limits) -> tuple[dict[str, Any], int]:
    if size < 8:
        raise DamagedFileError(
            f"too short for safetensors: {size} bytes, at least 8 needed",
            offset=0,
            hint="the download may be incomplete",
        )
    length = int.from_bytes(pread(0, 8), "little")
    limits.check("header", length, "the header's length", offset=0)
    if length + 8 > size:
        raise DamagedFileError(
            f"the header ends {length + 8 - size:,} bytes after the end of the file",
            offset=8,
            detail=f"the header has {length:,} bytes; the file has {size:,}",
            hint="the download may be incomplete",
        )
    raw = pread(8, length)
    if not raw.startswith(b"{"):
        raise InvalidFileError("the header does not start with `{`", offset=8)
    with located(base=8):
        header = strict_json.loads(raw, what="the header")
    return header, 8 + length


def _parts(source: Source, limits: Limits) -> Iterator[Mended]:
    """Files that were put one after another, each as long as its header says; what follows the last is no tensor."""
    at, follows = 0, True
    while follows:
        with located(path=source.path, base=at):
            rest = Mended(source, at, source.size, source.size - at)
            header, start = _header(rest.pread, rest.size, limits)
        places: list[Any] = [e.get("data_offsets") for e in header.values() if isinstance(e, dict)]
        size = start + max((p[1] for p in places if _naturals(p) and len(p) == 2), default=0)
        end = min(at + size, source.size)
        yield Mended(source, at, end, size)
        at, follows = end, end + 9 <= source.size and source.pread(end + 8, 1) == b"{"


def _metadata(value: Any) -> Metadata:
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise InvalidFileError("`__metadata__` must map text to text", offset=8)
    return Metadata(value)


def _tensors(header: dict[str, Any], number: int, start: int, size: int) -> dict[str, Tensor]:
    found = {}
    for name, entry in header.items():
        try:
            found[name] = _tensor(name, entry, number, start, size)
        except ModelFileError as error:  # `located` costs too much 100,000 times
            error.tensor = name
            raise
    return found


def _tensor(name: str, entry: Any, number: int, start: int, size: int) -> Tensor:
    if not isinstance(entry, dict) or entry.keys() != _KEYS:
        raise InvalidFileError("an entry needs exactly `dtype`, `shape` and `data_offsets`")
    kind: DType | None = _DTYPES.get(entry["dtype"]) if isinstance(entry["dtype"], str) else None
    if kind is None:
        raise InvalidFileError(f"unknown dtype {printable(repr(entry['dtype']))}")
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not _naturals(shape):
        raise InvalidFileError(f"the shape {printable(repr(shape))} is not a list of sizes")
    if not _naturals(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise InvalidFileError(f"`data_offsets` {printable(repr(offsets))} is not [begin, end]")
    begin, end = offsets
    encoding = plain_encoding(kind)
    need = (prod(shape) * kind.bits + 7) // 8
    if need != end - begin or (kind.bits < 8 and prod(shape) * kind.bits % 8):
        raise InvalidFileError(
            f"`data_offsets` [{begin:,}, {end:,}] span {end - begin:,} bytes, but {entry['dtype']} of shape "
            f"{shape} needs {need:,}",
            offset=start + begin,
        )
    if start + end > size:
        raise DamagedFileError(
            f"data ends {start + end - size:,} bytes after the end of the file",
            offset=start + begin,
            detail=f"needs bytes {start + begin:,}-{start + end:,}; the file has {size:,}",
            hint="the download may be incomplete",
        )
    return Tensor(name, kind, tuple(shape), Stored((Extent(number, start + begin, end - begin),)), encoding)


def _naturals(value: Any) -> bool:
    if not isinstance(value, list):
        return False
    for number in value:  # noqa: SIM110  # a generator would take twice the time, and there are two lists a tensor
        if type(number) is not int or not 0 <= number < 1 << 64:
            return False
    return True


def _place(tensor: Tensor) -> tuple[int, int]:
    """Offset and length in the file."""
    extent = tensor.data[0][0]  # type: ignore[index]  # `Stored`, whose only extent this is
    return extent[1], extent[2]


def _check_cover(ordered: list[Tensor], start: int) -> int:
    """Tensors must follow one another without holes or overlaps; the end of the last one."""
    at, last = start, ""
    for tensor in ordered:
        begin, length = _place(tensor)
        if begin != at:
            what = "overlaps" if begin < at else "leaves a hole after"
            before = f"tensor {printable(last, code=True)}, which ends" if last else "the header, which ends"
            raise InvalidFileError(
                f"begins at data offset {begin - start:,} and {what} {before} at {at - start:,}",
                tensor=tensor.name,
                offset=begin,
            )
        at, last = begin + length, tensor.name
    return at


FORMAT = Safetensors()
