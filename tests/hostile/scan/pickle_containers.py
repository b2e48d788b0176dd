# ruff: noqa: E501
"""Where pickles hide: each container takes a pickle stream and gives the bytes of a file."""

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib

SAFE = b"\x80\x02}."
STORAGE = b"\x80\x02ccollections\nOrderedDict\n)R."
LEGACY = [b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", b"\x80\x02M\xe9\x03.", b"\x80\x02}.", STORAGE, b"\x80\x02]."]


def zipped(*members, method=zipfile.ZIP_STORED, comment=b""):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as made:
        for name, body in members:
            made.writestr(zipfile.ZipInfo(name), body, compress_type=method)
        made.comment = comment
    return out.getvalue()


def torch_zip(pickle, root="archive", **more):
    return zipped((f"{root}/data.pkl", pickle), (f"{root}/data/0", bytes(16)), (f"{root}/version", b"3\n"), **more)


def tarred(*members, form=tarfile.USTAR_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as made:
        for name, body in members:
            info = tarfile.TarInfo(name)
            info.size = len(body)
            made.addfile(info, io.BytesIO(body))
    return out.getvalue()


def patched(data, at, value):
    return data[:at] + value + data[at + len(value) :]


def local(data, offset, value):
    """A field of the first local header, changed."""
    return patched(data, data.index(b"PK\3\4") + offset, value)


def central(data, offset, value):
    return patched(data, data.index(b"PK\1\2") + offset, value)


def npy(descr, body, shape="(1,)"):
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + body


def joblib(pickle, dtype=b"X\x02\0\0\0O8", body=None):
    """A NumpyArrayWrapper, then what lies between opcodes, then the end of the outer pickle."""
    kind = b"cnumpy\ndtype\n" + dtype + b"\x89\x88\x87Rq\1"
    state = b"}(X\5\0\0\0shapeK\x04\x85X\5\0\0\0orderX\1\0\0\0CX\5\0\0\0dtype" + kind + b"u"
    return (
        b"\x80\x02](cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81" + state + b"b" + (pickle if body is None else body)
    )


def lz4(data):
    """A frame of one stored block, and one of literals."""
    half = len(data) // 2
    literals = data[half:]
    count = len(literals)
    token = bytes([min(count, 15) << 4]) + (
        bytes([255] * ((count - 15) // 255) + [(count - 15) % 255]) if count >= 15 else b""
    )
    block = token + literals
    head = b"\x04\x22\x4d\x18\x60\x40\x82"
    return head + struct.pack("<I", half | 1 << 31) + data[:half] + struct.pack("<I", len(block)) + block + bytes(4)


def members(compress, data):
    """Two streams after one another, the pickle cut in the middle."""
    half = len(data) // 2
    return compress(data[:half]) + compress(data[half:])


def link(name, target, kind):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as made:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        made.addfile(info)
    return out.getvalue()


def v7(data):
    """The tar without its magic, as before POSIX."""
    block = bytearray(data[:512])
    block[257:265], block[148:156] = bytes(8), b" " * 8
    block[148:156] = f"{sum(block):06o}\0 ".encode()
    return bytes(block) + data[512:]


def nested(data, depth):
    for level in range(depth):
        data = zipped((f"level{level}.bin", data))
    return data


def alone(data):
    return lzma.compress(data, lzma.FORMAT_ALONE)


def _streams(number):
    return lambda p: b"".join(p if n == number else s for n, s in enumerate(LEGACY)) + struct.pack("<Q", 4) + bytes(16)


CONTAINERS = {
    "bare": lambda p: p,
    "torch zip": torch_zip,
    "torch zip, deflated": lambda p: torch_zip(p, method=zipfile.ZIP_DEFLATED),
    "torch zip, bzip2": lambda p: torch_zip(p, method=zipfile.ZIP_BZIP2),
    "torch zip, lzma": lambda p: torch_zip(p, method=zipfile.ZIP_LZMA),
    "torch zip called data": lambda p: torch_zip(p, root="data"),
    "torch zip called tensors": lambda p: torch_zip(p, root="tensors"),
    "torch zip, comment": lambda p: torch_zip(p, comment=b"x" * 3000),
    "torch zip, bytes before": lambda p: b"\0" * 77 + torch_zip(p),
    "torch zip, bytes after": lambda p: torch_zip(p) + b"\0" * 77,
    "torch zip behind a pickle": lambda p: p + torch_zip(SAFE),
    "torch zip before a pickle": lambda p: torch_zip(SAFE) + p,
    "two zips, the last": lambda p: torch_zip(SAFE) + torch_zip(p),
    "two zips, the first": lambda p: torch_zip(p) + torch_zip(SAFE),
    "duplicate, the last": lambda p: zipped(("a/data.pkl", SAFE), ("a/data.pkl", p), ("a/version", b"3")),
    "duplicate, the first": lambda p: zipped(("a/data.pkl", p), ("a/data.pkl", SAFE), ("a/version", b"3")),
    "local CRC": lambda p: local(torch_zip(p), 14, b"\1\2\3\4"),
    "central CRC": lambda p: central(torch_zip(p), 16, b"\1\2\3\4"),
    "both CRC": lambda p: central(local(torch_zip(p), 14, b"\1\2\3\4"), 16, b"\1\2\3\4"),
    **{f"local flags {f:#x}": lambda p, f=f: local(torch_zip(p), 6, struct.pack("<H", f)) for f in (1, 8, 0x20, 0x40, 0x800, 0x2000)},
    **{f"central flags {f:#x}": lambda p, f=f: central(torch_zip(p), 8, struct.pack("<H", f)) for f in (8, 0x20, 0x800)},
    "local method 99": lambda p: local(torch_zip(p), 8, b"\x63\0"),
    "local name": lambda p: local(torch_zip(p), 30, b"archive/data.txt"),
    "local size": lambda p: local(torch_zip(p), 18, b"\1\0\0\0\1\0\0\0"),
    "version needed 255": lambda p: central(local(torch_zip(p), 4, b"\xff\0"), 6, b"\xff\0"),
    "constants.pkl": lambda p: zipped(("a/data.pkl", SAFE), ("a/constants.pkl", p), ("a/version", b"3")),
    "debug_pkl": lambda p: zipped(("a/data.pkl", SAFE), ("a/code/__torch__.py.debug_pkl", p)),
    "another .pkl": lambda p: zipped(("a/data.pkl", SAFE), ("a/extra.pkl", p)),
    "no suffix": lambda p: zipped(("a/data.pkl", SAFE), ("a/extra", p)),
    "a record without a pickle": lambda p: zipped(("a/data/0", p)),
    "torch.package": lambda p: zipped(("a/.data/extern_modules", b""), ("a/.data/version", b"6"), ("a/model/model.pkl", p)),
    "no directory": lambda p: torch_zip(p)[: torch_zip(p).index(b"PK\1\2")],
    "no directory, deflated": lambda p: (z := torch_zip(p, method=8))[: z.index(b"PK\1\2")],
    "count lies": lambda p: patched(z := torch_zip(p), z.rindex(b"PK\5\6") + 8, b"\x09\0\x09\0"),
    "directory offset lies": lambda p: patched(z := torch_zip(p), z.rindex(b"PK\5\6") + 16, b"\xff\xff\xff\0"),
    **{f"zip in {n} zips": lambda p, n=n: nested(torch_zip(p), n) for n in (1, 2)},
    "legacy, stream 1": _streams(0), "legacy, stream 2": _streams(1), "legacy, stream 3": _streams(2),
    "legacy, stream 4": _streams(3), "legacy, stream 5": _streams(4),
    "legacy, before raw data": lambda p: b"".join(LEGACY[:4]) + p + bytes(range(256)) * 40,
    "tar, pickle": lambda p: tarred(("pickle", p), ("storages", SAFE), ("tensors", SAFE)),
    "tar, storages": lambda p: tarred(("sys_info", SAFE), ("pickle", SAFE), ("storages", p), ("tensors", SAFE)),
    "tar, tensors": lambda p: tarred(("pickle", SAFE), ("storages", SAFE), ("tensors", p)),
    "tar, sys_info": lambda p: tarred(("sys_info", p), ("pickle", SAFE)),
    "tar, long name": lambda p: tarred(("x" * 200 + "/pickle", p), form=tarfile.GNU_FORMAT),
    "tar, pax": lambda p: tarred(("é" * 90 + "/pickle", p), form=tarfile.PAX_FORMAT),
    "tar before POSIX": lambda p: v7(tarred(("pickle", p))),
    "tar that breaks": lambda p: tarred(("pickle", p)) [:1024] + b"\xff" * 700,
    "tar.gz": lambda p: gzip.compress(tarred(("model.bin", p))),
    "tar.bz2": lambda p: bz2.compress(tarred(("model.bin", p))),
    "tar.xz": lambda p: lzma.compress(tarred(("model.bin", p))),
    "zip in tar.gz": lambda p: gzip.compress(tarred(("model.pt", torch_zip(p)))),
    "npy of objects": lambda p: npy("'|O'", p),
    "npy of object by name": lambda p: npy("'object'", p),
    "npy of escaped objects": lambda p: npy("'|\\x4f'", p),
    "npy of records with objects": lambda p: npy("[('a', '<f4'), ('b', '|O')]", p),
    "npy of nested records": lambda p: npy("[('a', [('b', '|O', (2,))])]", p),
    "npy, keys the other way": lambda p: npy("'|O'", p).replace(b"'fortran_order': False, ", b" " * 24),
    "npz": lambda p: zipped(("arr_0.npy", npy("'|O'", p))),
    "npz, deflated": lambda p: zipped(("arr_0.npy", npy("'|O'", p)), method=8),
    "pickle as npy": lambda p: zipped(("arr_0.npy", p)),
    "joblib, array of objects": lambda p: joblib(p) + b"e.",
    "joblib, after an array": lambda p: joblib(p, b"X\2\0\0\0f4", b"\x80\2N." * 4) + p[2:-1] + b"e.",
    "joblib, after an array that looks like an end": lambda p: joblib(p, b"X\2\0\0\0f8", b"." * 32) + p[2:-1] + b"e.",
    "joblib, two arrays of objects": lambda p: joblib(SAFE) + joblib(p)[4:] + b"ee.",
    "zlib": zlib.compress, "zlib, fast": lambda p: zlib.compress(p, 1), "gzip": gzip.compress, "bzip2": bz2.compress,
    "xz": lzma.compress, "lzma": alone, "lz4": lz4, "ZF": lambda p: b"ZF" + f"{len(p):#x}".ljust(19).encode() + zlib.compress(p),
    "zlib members": lambda p: members(zlib.compress, p), "gzip members": lambda p: members(gzip.compress, p),
    "bzip2 members": lambda p: members(bz2.compress, p), "xz members": lambda p: members(lzma.compress, p),
    "gzip cut off": lambda p: gzip.compress(p + bytes(range(256)) * 400)[:-20],
    "gzip and more": lambda p: gzip.compress(p) + b"\1\2\3junk",
    "gzip in gzip": lambda p: gzip.compress(gzip.compress(p)),
    "gzip in xz in bzip2": lambda p: bz2.compress(lzma.compress(gzip.compress(p))),
    "gzip of a torch zip": lambda p: gzip.compress(torch_zip(p)),
    "gzip of a legacy file": lambda p: gzip.compress(_streams(4)(p)),
    "xz of an npy": lambda p: lzma.compress(npy("'|O'", p)),
    "zip of gzip": lambda p: zipped(("a.pkl.gz", gzip.compress(p))),
}  # fmt: skip
