"""A program of its own that describes an HDF5 file: what libhdf5 does with a hostile file ends here.

It is started by `modelglot.containers.hdf5.described`, imports nothing of modelglot and opens no file: it asks for
bytes on stdout (``R``, offset, length), gets them on stdin, and ends with ``D``, a length and JSON. The argument is
JSON: ``size`` of the file, names of text ``attributes``, limits (``entries``, ``name``, ``depth``).
"""

from __future__ import annotations

import base64
import io
import json
import struct
import sys
from math import prod
from typing import Any

PAGE, PAGES = 64 << 10, 256
MEMORY, SECONDS = 4 << 30, 120  # of address space beyond what the libraries take, of processor time
COMPACT = 64 << 10  # what an object's header can hold
Row = list[Any]


class Asked(io.RawIOBase):
    """The file, read through the parent a page at a time."""

    def __init__(self, size: int) -> None:
        self._size, self._at, self._pages = size, 0, dict[int, bytes]()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        view, done = memoryview(buffer).cast("B"), 0
        while done < len(view) and self._at < self._size:
            number, skip = divmod(self._at, PAGE)
            piece = self._page(number)[skip : skip + len(view) - done]
            view[done : done + len(piece)] = piece
            self._at, done = self._at + len(piece), done + len(piece)
            if not piece:
                break  # the parent has gone
        return done

    def _page(self, number: int) -> bytes:
        if number not in self._pages:
            if len(self._pages) >= PAGES:
                self._pages.clear()
            length = min(PAGE, self._size - number * PAGE)
            sys.stdout.buffer.write(b"R" + struct.pack("<QQ", number * PAGE, length))
            sys.stdout.buffer.flush()
            self._pages[number] = sys.stdin.buffer.read(length)
        return self._pages[number]


def describe(h5py: Any, file: Any, asked: dict[str, Any]) -> dict[str, Any]:
    if file.userblock_size:
        return {"rows": [["userblock", "", ""]]}
    texts = {}
    for name in asked["attributes"]:
        value = file.attrs.get(name)
        value = value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value
        if isinstance(value, str):
            texts[name] = value
    return {"texts": texts, "names": list(file.attrs), "rows": walk(h5py, file, asked)}


def walk(h5py: Any, root: Any, asked: dict[str, Any]) -> list[Row]:
    """Rows in the order of the groups: a dataset, or what ends the walk (a link outside, a limit)."""
    seen, rows, count = {h5py.h5o.get_info(root.id).addr}, list[Row](), 0
    stack = [("", root, iter(root))]
    while stack:
        prefix, group, names = stack[-1]
        for name in names:
            path = f"{prefix}/{name}" if prefix else name
            count += 1
            if count > asked["entries"] or len(path) > asked["name"]:
                return [
                    *rows,
                    ["limit", "entries", count] if count > asked["entries"] else ["limit", "name", len(path)],
                ]
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                return [*rows, ["external", path, str(link.filename)]]
            if not isinstance(link, h5py.HardLink):
                continue  # a name for what has another one in the same file
            found = group[name]
            if isinstance(found, h5py.Dataset):
                rows.append(["dataset", path, dataset(h5py, found, asked)])
            elif isinstance(found, h5py.Group):
                address = h5py.h5o.get_info(found.id).addr
                if address in seen:
                    continue
                seen.add(address)
                if len(stack) >= asked["depth"]:
                    return [*rows, ["limit", "depth", len(stack) + 1]]
                stack.append((path, found, iter(found)))
                break
        else:
            stack.pop()
    return rows


def dataset(h5py: Any, found: Any, asked: dict[str, Any]) -> dict[str, Any]:
    """Type, shape and the places of its bytes; values only of one that lies in its header."""
    plist, kind = found.id.get_create_plist(), found.dtype
    said: dict[str, Any] = {
        "shape": None if found.shape is None else [int(n) for n in found.shape],
        "external": int(plist.get_external_count()),
        "virtual": bool(found.is_virtual),
        "kind": kind.kind,
        "itemsize": int(kind.itemsize),
        "big": kind.byteorder == ">",
        "enum": h5py.check_dtype(enum=kind) is not None,
        "record": kind.names is not None or kind.subdtype is not None,
        "text": str(kind)[:80],
    }
    if said["shape"] is None or said["external"] or said["virtual"]:
        return said
    if kind.kind == "V":
        word = found.attrs.get("dtype")
        said["named"] = word if isinstance(word, str) else None
    layout = plist.get_layout()
    if layout == h5py.h5d.COMPACT:
        said["layout"] = "compact"
        if kind.kind in "fiucbV" and prod(said["shape"]) * kind.itemsize <= COMPACT:
            value = found[()].astype(kind.newbyteorder("<")).tobytes()
            said["value"] = base64.b64encode(value).decode()
    elif layout == h5py.h5d.CHUNKED:
        said["layout"] = "chunked"
        said |= chunked(found, plist, asked)
    else:
        said["layout"] = "contiguous"
        said["offset"] = found.id.get_offset()
    if layout == h5py.h5d.CHUNKED or said.get("offset") is None:
        said["filled"] = kind.kind in "fiucb" and any(bytes(found.fillvalue.tobytes()))
    return said


def chunked(found: Any, plist: Any, asked: dict[str, Any]) -> dict[str, Any]:
    filters = [int(plist.get_filter(n)[0]) for n in range(plist.get_nfilters())]
    count, infos = int(found.id.get_num_chunks()), list[Any]()
    if count <= asked["entries"]:
        if hasattr(found.id, "chunk_iter"):
            found.id.chunk_iter(infos.append)
        else:
            infos += [found.id.get_chunk_info(number) for number in range(count)]
    places = [[list(map(int, i.chunk_offset)), int(i.byte_offset), int(i.size), int(i.filter_mask)] for i in infos]
    return {"filters": filters, "chunk": [int(n) for n in plist.get_chunk()], "count": count, "chunks": places}


def limited() -> None:
    """No more memory and time than a description can need, where the system can hold a process to it."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    import h5py

    limited()
    asked = json.loads(sys.argv[1])
    try:
        with h5py.File(Asked(asked["size"]), "r") as file:
            answer = describe(h5py, file, asked)
    except Exception as error:  # the library has no exception of its own: OSError, KeyError, RuntimeError ...
        answer = {"error": str(error).split("\n")[0] or type(error).__name__}
    raw = json.dumps(answer).encode()
    sys.stdout.buffer.write(b"D" + struct.pack("<Q", len(raw)) + raw)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
