"""The zip reader and the layout builder, held against zipfile."""

import io
import struct
import time
import zipfile
import zlib
from dataclasses import replace

import pytest

from modelglot.containers.zip import Archive
from modelglot.containers.zip_layout import Entry, build
from modelglot.core.errors import DamagedFileError, InvalidFileError, LimitError, ModelFileError, UnsupportedError
from modelglot.core.limits import Limits


class Memory:
    """A source over bytes."""

    def __init__(self, data):
        self.path, self.data, self.size = "made.zip", data, len(data)

    def pread(self, offset, length):
        if offset < 0 or length < 0 or offset + length > self.size:
            raise DamagedFileError("past the end", path=self.path, offset=offset)
        return self.data[offset : offset + length]


def zipped(members, method=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


def opened(data, limits=None):
    return Archive(Memory(data), limits or Limits())


TWO = [("a/data.pkl", b"hello"), ("a/data/0", bytes(range(200)))]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_are_extents(method):
    data = zipped([*TWO, ("a/é", b""), ("dir/", b"")], method)
    archive = opened(data)
    assert [m.name for m in archive.members] == ["a/data.pkl", "a/data/0", "a/é", "dir/"]
    assert not archive.notes
    for name, contents in TWO:
        member = archive.by_name[name]
        extent = archive.extent(member, 3)
        stored = data[extent.offset : extent.offset + extent.length]
        assert extent.file == 3
        assert (zlib.decompress(stored, -15) if extent.codec == "deflate" else stored) == contents
        assert archive.read(member) == contents


def test_zip64_and_data_descriptors():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive, archive.open("big", "w", force_zip64=True) as member:
        member.write(b"x" * 1000)
    assert opened(out.getvalue()).read(opened(out.getvalue()).members[0]) == b"x" * 1000

    class Unseekable(io.RawIOBase):
        def __init__(self):
            self.data = bytearray()

        def writable(self):
            return True

        def write(self, more):
            self.data += more
            return len(more)

    sink = Unseekable()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("x", b"12345")
    archive = opened(bytes(sink.data))
    assert archive.read(archive.members[0]) == b"12345"
    assert not archive.notes


def test_the_last_of_two_archives_counts_and_junk_is_noted():
    first, second = zipped([("old", b"1")]), zipped([("new", b"22")])
    archive = opened(first + second)
    assert [m.name for m in archive.members] == ["new"]
    assert archive.read(archive.members[0]) == b"22"
    assert [n.code for n in archive.notes] == ["zip-prefix"]
    assert [n.code for n in opened(second + b"junk").notes] == ["zip-trailing"]


def test_repeated_and_outside_names_are_noted():
    with pytest.warns(UserWarning, match="Duplicate"):
        data = zipped([("x", b"1"), ("x", b"2"), ("../../etc/passwd", b"")])
    archive = opened(data)
    assert archive.read(archive.by_name["x"]) == b"2"
    assert [n.code for n in archive.notes] == ["zip-duplicate", "zip-path"]


def test_a_directory_that_disagrees_with_local_headers_is_believed_and_noted():
    data = zipped(TWO)
    renamed = data.replace(b"a/data/0", b"a/data/9", 1)
    archive = opened(renamed)
    assert [m.name for m in archive.members] == ["a/data.pkl", "a/data/0"]
    assert [n.code for n in archive.notes] == ["zip-headers"]


def test_a_wrong_checksum_is_a_note():
    data = bytearray(zipped(TWO))
    at = bytes(data).index(b"hello")
    data[at] ^= 1
    archive = opened(bytes(data))
    assert archive.read(archive.members[0]) == b"iello"
    assert [(n.code, n.level) for n in archive.notes] == [("zip-checksum", "warning")]


def central(data):
    return data.index(b"PK\x01\x02")


def patched(data, offset, value):
    return data[:offset] + value + data[offset + len(value) :]


HOSTILE = {
    "overlap": lambda d: patched(d, d.rindex(b"PK\x01\x02") + 42, bytes(4)),
    "header past the directory": lambda d: patched(d, central(d) + 42, struct.pack("<I", len(d) - 30)),
    "stored and size differ": lambda d: patched(d, central(d) + 20, struct.pack("<I", 4)),
    "size past the file": lambda d: patched(d, central(d) + 20, struct.pack("<II", 1 << 30, 1 << 30)),
    "count too large": lambda d: patched(d, d.rindex(b"PK\x05\x06") + 8, struct.pack("<HH", 9, 9)),
    "count too small": lambda d: patched(d, d.rindex(b"PK\x05\x06") + 8, struct.pack("<HH", 1, 1)),
    "directory size": lambda d: patched(d, d.rindex(b"PK\x05\x06") + 12, struct.pack("<I", 1 << 31)),
    "signature": lambda d: patched(d, central(d), b"XXXX"),
    "local signature": lambda d: patched(d, 0, b"XXXX"),
    "name with NUL": lambda d: patched(d, central(d) + 46, b"a\0"),
    "several disks": lambda d: patched(d, d.rindex(b"PK\x05\x06") + 4, b"\1\0"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_directory_that_lies_is_refused(case):
    with pytest.raises((InvalidFileError, DamagedFileError)) as caught:
        opened(HOSTILE[case](zipped(TWO)))
    assert caught.value.path == "made.zip"
    assert caught.value.offset is not None


def test_truncation_anywhere_is_a_clear_error():
    data = zipped(TWO, zipfile.ZIP_DEFLATED)
    for length in range(len(data)):
        with pytest.raises(ModelFileError) as caught:
            opened(data[:length])
        assert caught.value.path == "made.zip"


def test_bombs_are_refused_before_they_are_inflated():
    data = zipped([("bomb", bytes(30 << 20))], zipfile.ZIP_DEFLATED)
    archive = opened(data)
    with pytest.raises(LimitError, match="inflates"):
        archive.read(archive.members[0])
    with pytest.raises(LimitError, match="size"):
        opened(data, replace(Limits(), member=1 << 20)).read(archive.members[0])
    with pytest.raises(LimitError):
        opened(zipped(TWO), replace(Limits(), entries=1))


def test_a_size_that_lies_about_deflate_is_damage():
    data = zipped([("x", b"abc" * 100)], zipfile.ZIP_DEFLATED)
    for size in (299, 301):
        archive = opened(patched(data, central(data) + 24, struct.pack("<I", size)))
        with pytest.raises(DamagedFileError, match="inflates to"):
            archive.read(archive.members[0])


def test_encrypted_and_unknown_methods_are_listed_and_not_read():
    data = zipped(TWO)
    for offset, value in ((8, b"\1\0"), (10, b"\x63\0")):
        archive = opened(patched(data, central(data) + offset, value))
        assert len(archive.members) == 2
        with pytest.raises(UnsupportedError):
            archive.read(archive.members[0])
        assert len(archive.read(archive.members[1])) == 200


def finished(out, tensors):
    made = bytearray(out.size)
    for piece in out.pieces:
        made[piece.offset : piece.offset + len(piece.data)] = piece.data
    for slot in out.slots:
        made[slot.offset : slot.offset + slot.length] = tensors[slot.tensor]
    for fixup in out.fixups:
        crc = zlib.crc32(made[fixup.offset : fixup.offset + fixup.length]).to_bytes(4, "little")
        for target in fixup.targets:
            made[target : target + 4] = crc
    return bytes(made)


def test_the_builder_makes_archives_that_zipfile_reads():
    entries = [Entry("r/data.pkl", b"pickle", alignment=64), Entry("r/0", b"head", "t", 100, 64), Entry("r/ü", b"x")]
    entries += [Entry(f"r/n{'x' * n}", b"y", alignment=64) for n in range(70)]
    out = build("made", entries)
    data = finished(out, {"t": bytes(range(100))})
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [e.name for e in entries]
        assert archive.read("r/0") == b"head" + bytes(range(100))
    ours = opened(data)
    assert not ours.notes
    assert all(ours.start(m) % 64 == 0 for m, e in zip(ours.members, entries, strict=True) if e.alignment == 64)


def test_the_builder_uses_zip64_where_it_must():
    out = build("made", [Entry("a", b"", "t", 5 << 30, 64), Entry("b", b"tail")])
    directory = out.pieces[-1].data
    shift = out.pieces[-1].offset

    class Sparse(Memory):
        def __init__(self):
            self.path, self.size = "made", out.size

        def pread(self, offset, length):
            raw = bytearray(length)
            for piece in out.pieces:
                for at in range(max(offset, piece.offset), min(offset + length, piece.offset + len(piece.data))):
                    raw[at - offset] = piece.data[at - piece.offset]
            return bytes(raw)

    archive = Archive(Sparse(), Limits())
    assert [(m.name, m.size) for m in archive.members] == [("a", 5 << 30), ("b", 4)]
    assert archive.read(archive.members[1]) == b"tail"
    assert out.fixups[0].targets[1] == shift + directory.index(b"PK\x01\x02") + 16


def test_a_hundred_thousand_members():
    out = build("made", [Entry(f"r/data/{i}", b"", f"t{i}", 8, 64) for i in range(100_000)])
    data = bytearray(out.size)
    for piece in out.pieces:
        data[piece.offset : piece.offset + len(piece.data)] = piece.data
    start = time.perf_counter()
    assert len(opened(bytes(data)).members) == 100_000
    assert time.perf_counter() - start < 5  # about half a second on an idle machine
