"""The bytes of a tensor, in order where possible, a chunk at a time: copied, inflated, gathered or computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from modelglot.containers.codecs import inflated, skipping
from modelglot.core.encoding import Blocks, Opaque, nbytes
from modelglot.core.errors import DamagedFileError, UnsupportedError, located
from modelglot.core.format import Source
from modelglot.core.tensor import Derived, Extent, Inline, Missing, Stored, Tensor, span
from modelglot.core.unusual import Unusual
from modelglot.core.views import is_run
from modelglot.engine.assemble import Box, assembled
from modelglot.engine.gather import Fetch, bands
from modelglot.sources.checksums import crc32c

CHUNK = 4 << 20

Open = Callable[[int], Source]
Seen = Callable[[Unusual], None]
Chunk = tuple[int, "bytes | memoryview"]  # offset in the written tensor, bytes


def chunks(tensor: Tensor, source: Open, size: int = CHUNK, seen: Seen | None = None) -> Iterator[Chunk]:
    """(offset, bytes) pairs that cover the contiguous little-endian tensor exactly once.

    At most about ``size`` bytes are held, except for what cannot be cut: one line of a strided view, a deflated
    strided tensor. A yielded buffer is only good until the next one is asked for. Raises DamagedFileError for
    missing bytes. Offsets ascend. ``seen`` is told of numbers that casts could not keep.
    """
    data = tensor.data
    with located(tensor=tensor.name):
        if isinstance(data, Inline):
            yield 0, data.data
        elif isinstance(data, Missing):
            raise DamagedFileError(data.why)
        elif isinstance(data, Derived):
            yield from _derived(tensor, data, source, size, seen)
        elif data.strides is not None:
            yield from _gathered(tensor, data, data.strides, source, size)
        else:
            yield from _sequential(tensor, data, source, size)


def read(tensor: Tensor, source: Open, seen: Seen | None = None) -> bytearray:
    """The whole tensor in memory."""
    out = bytearray(tensor.nbytes)
    for offset, data in chunks(tensor, source, max(CHUNK, tensor.nbytes), seen):
        out[offset : offset + len(data)] = data
    return out


def _sequential(tensor: Tensor, data: Stored, source: Open, size: int) -> Iterator[Chunk]:
    if data.byteorder == "big":
        unit = tensor.encoding.bytes if isinstance(tensor.encoding, Blocks) else max(tensor.dtype.swap, 1)
        size = max(unit, size // unit * unit)
    at, left, crc = 0, tensor.nbytes, 0
    for extent in data.extents:
        for piece in _decoded(extent, source, data.skip if at == 0 else 0, left, size):
            if data.crc32c is not None:
                crc = crc32c(piece, crc)
            swapped: bytes | memoryview = _swapped(tensor, piece) if data.byteorder == "big" else piece
            yield at, swapped
            at += len(piece)
            left -= len(piece)
    if left:
        raise DamagedFileError(f"{left:,} of {tensor.nbytes:,} bytes are missing")
    if data.crc32c is not None and crc != data.crc32c:
        raise DamagedFileError(
            "the bytes do not match their checksum (CRC-32C)",
            path=source(data.extents[0].file).path if data.extents else None,
            detail=f"the file says {data.crc32c:08x}, the bytes give {crc:08x}",
            hint="the file is damaged; get it again",
        )


def _decoded(extent: Extent, source: Open, skip: int, most: int, size: int) -> Iterator[bytes | memoryview]:
    """The logical bytes of an extent, ``skip`` dropped, at most ``most``, in pieces of ``size`` but the last."""
    file = source(extent.file)
    if extent.codec == "raw":
        length = min(extent.length - skip, most)
        yield from _pieces(file, extent.offset + skip, length, size)
        return
    raw = (
        bytes(piece) for piece in _pieces(file, extent.offset, extent.length, CHUNK // 4)
    )  # the buffer is used again
    with located(path=file.path, base=extent.offset):
        yield from skipping(inflated(extent.codec, raw, size), skip, most, size)


def _pieces(file: Source, offset: int, length: int, size: int) -> Iterator[bytes | memoryview]:
    """A source that knows better than one read after another how to give a run of bytes does it itself."""
    if hasattr(file, "pieces"):
        yield from file.pieces(offset, length, size)
        return
    buffer = memoryview(bytearray(min(size, length)))
    for at in range(0, length, size):
        piece = buffer[: min(size, length - at)]
        file.readinto(offset + at, piece)
        yield piece


def _swapped(tensor: Tensor, piece: bytes | memoryview) -> bytes:
    from modelglot.kernels.arrays import swap_blocks, swap_bytes

    encoding = tensor.encoding
    if isinstance(encoding, Blocks):
        if encoding.words is None:
            raise UnsupportedError(f"the byte order of `{encoding.name}` blocks cannot be changed")
        return swap_blocks(piece, encoding.bytes, encoding.words)
    if isinstance(encoding, Opaque):
        raise UnsupportedError(f"the byte order of `{encoding.name}` cannot be changed")
    return swap_bytes(piece, tensor.dtype.swap)


def _gathered(tensor: Tensor, data: Stored, strides: tuple[int, ...], source: Open, size: int) -> Iterator[Chunk]:
    item, extent = tensor.dtype.itemsize, data.extents[0]
    fetch: Fetch
    if extent.codec == "raw":
        fetch = _stored(source(extent.file), extent.offset)
    else:
        fetch = _held(_storage(tensor, data, source, span(tensor.shape, strides) * item))
    for at, piece in bands(tensor.shape, strides, item, fetch, size):
        yield at, _swapped(tensor, piece) if data.byteorder == "big" else piece


def _arranged(data: Derived, source: Open, size: int, seen: Seen | None) -> Iterator[Chunk]:
    """Units of the operand (rows, experts, elements) in another order: a view with strides over its contiguous bytes.

    ``params``: ``unit`` in bytes, ``offset`` of the first unit, ``shape`` and ``strides`` in units.
    """
    (operand,), params = data.inputs, data.params
    unit, first = int(params["unit"]), int(params["offset"]) * int(params["unit"])
    stored = operand.data
    fetch: Fetch
    if isinstance(stored, Stored) and _is_run(stored):
        fetch = _stored(source(stored.extents[0].file), stored.extents[0].offset + first)
    else:
        fetch = _held(read(operand, source, seen), first)
    yield from bands(tuple(params["shape"]), tuple(params["strides"]), unit, fetch, size)


def _is_run(data: Stored) -> bool:
    """True for contiguous little-endian bytes that lie in one piece of a file as they are."""
    return is_run(data) and len(data.extents) == 1


def _stored(file: Source, start: int) -> Fetch:
    return lambda begin, length: file.pread(start + begin, length)


def _held(whole: bytearray, first: int = 0) -> Fetch:
    return lambda begin, length: memoryview(whole)[first + begin : first + begin + length]


def _storage(tensor: Tensor, data: Stored, source: Open, length: int) -> bytearray:
    out = bytearray()
    for piece in _decoded(data.extents[0], source, data.skip, length, length):
        out += piece
    if len(out) != length:
        raise DamagedFileError(f"{length - len(out):,} of {length:,} bytes are missing", tensor=tensor.name)
    return out


def _derived(tensor: Tensor, data: Derived, source: Open, size: int, seen: Seen | None) -> Iterator[Chunk]:
    """A chunk of whole rows goes in, the same rows come out; single elements where nothing is in blocks."""
    from modelglot.kernels.registry import counting, counts, needs_all, whole

    if data.kernel == "arrange":
        yield from _arranged(data, source, size, seen)
        return
    if data.kernel == "concat":
        start = 0
        for part in data.inputs:
            yield from ((start + at, piece) for at, piece in chunks(part, source, size, seen))
            start += part.nbytes
        return
    if data.kernel == "planes":
        from modelglot.kernels.turning import planes

        operand = data.inputs[0]
        yield from planes(data.params, tensor.shape, lambda: (p for _, p in _rows(operand, source, size // 4, seen)))
        return
    if data.kernel == "assemble":
        yield from _assembled(tensor, data, source, size, seen)
        return
    if data.kernel == "unshuffle":
        from modelglot.kernels.arrays import unshuffle

        yield 0, unshuffle(read(data.inputs[0], source, seen), int(data.params["width"]))
        return
    if needs_all(data.kernel):
        made = whole(data.kernel, [read(t, source, seen) for t in data.inputs], data.params)
        yield from ((at, made[at : at + size]) for at in range(0, len(made), size))
        return
    run, (operand,) = counting(data.kernel, data.params, seen), data.inputs
    seen = None if counts(data.kernel) else seen  # each number is counted once, by the outermost
    before, after = operand.nbytes, tensor.nbytes
    blocks = isinstance(tensor.encoding, Blocks) or isinstance(operand.encoding, Blocks)
    if not blocks:
        for at, piece in chunks(operand, source, size // 2, seen):
            yield at * after // before, run(piece, at * 8 // operand.dtype.bits)
        return
    for at, piece in _rows(operand, source, size // 4, seen):
        yield at * after // before, run(piece, at * tensor.numel // before)


def _assembled(tensor: Tensor, data: Derived, source: Open, size: int, seen: Seen | None) -> Iterator[Chunk]:
    """Inputs at their places in the whole, a band of rows at a time."""
    shape = _in_bytes(tensor, tensor.shape)
    boxes = [
        Box(_in_bytes(part, origin) if origin else (0,), _in_bytes(part, part.shape), *_part_rows(part, source, seen))
        for part, origin in zip(data.inputs, data.params["origins"], strict=True)
        if part.nbytes
    ]
    if tensor.nbytes:
        yield from assembled(shape, boxes, size)


def _in_bytes(tensor: Tensor, axes: tuple[int, ...]) -> tuple[int, ...]:
    """Sizes or positions with the last one in bytes; one axis where there is none."""
    last = nbytes(tensor.dtype, tensor.encoding, tuple(axes[-1:]))
    return (*axes[:-1], last)


def _part_rows(part: Tensor, source: Open, seen: Seen | None) -> tuple[Callable[[int, int], bytes | memoryview], bool]:
    row, stored = nbytes(part.dtype, part.encoding, part.shape[1:]) if len(part.shape) > 1 else 1, part.data
    if isinstance(stored, Stored) and _is_run(stored):
        extent = stored.extents[0]
        fetch = _stored(source(extent.file), extent.offset)
        return lambda first, count: fetch(first * row, count * row), True
    return lambda first, count: memoryview(read(part, source, seen))[first * row : (first + count) * row], False


def _rows(tensor: Tensor, source: Open, size: int, seen: Seen | None = None) -> Iterator[Chunk]:
    """Like `chunks`, in whole rows of the last axis: kernels on blocks cannot start in the middle of one."""
    row = nbytes(tensor.dtype, tensor.encoding, tensor.shape[-1:])
    held, start = bytearray(), 0
    for _, piece in chunks(tensor, source, max(row, size // row * row), seen):
        if not held and len(piece) % row == 0:
            yield start, piece
            start += len(piece)
            continue
        held += piece
        full = len(held) // row * row
        if full:
            yield start, bytes(held[:full])
            start += full
            del held[:full]
