"""A strict reader of zip files that hold models: members as extents, nothing extracted, nothing trusted.

The central directory decides (`zip_directory`); local headers are needed for the place of the data and are compared
with it. What real loaders accept is read and noted; what would let two readers see different bytes is refused.
Specification: PKWARE APPNOTE 6.3.10.
"""

from __future__ import annotations

import struct
import zlib
from operator import itemgetter

from modelglot.containers import zip_directory
from modelglot.containers.zip_directory import LOCAL, Member, visible_names
from modelglot.core.errors import DamagedFileError, InvalidFileError, LimitError, UnsupportedError, located, printable
from modelglot.core.format import Source
from modelglot.core.lazy import lazy
from modelglot.core.limits import MIB, Limits
from modelglot.core.notes import Note
from modelglot.core.tensor import Extent

__all__ = ["Archive", "Member", "visible_names"]

_LOCAL = struct.Struct("<4s2xHH4xIIIHH")  # signature flags method crc stored size name extra
_NEAR, _WINDOW = 32768, 1 * MIB
_SAMPLED, _ALIGNED = 2, 64


class Archive:
    """The members of one zip file, in the order of its directory; `notes` grows with what was noticed.

    Opening reads the directory and every local header (neighbours in one read), so that all extents are known and
    shown to lie inside the file without overlapping. Raises DamagedFileError, InvalidFileError and LimitError.
    """

    def __init__(self, source: Source, limits: Limits, base: int = 0) -> None:
        self.source = source
        self.limits = limits
        self.base = base  # where ``source`` begins in its file, for extents
        self.notes: list[Note] = []
        with located(path=source.path):
            end = zip_directory.find_end(source.pread, source.size)
            limits.check("header", end.size, "the zip directory", offset=end.offset)
            self.members = zip_directory.parse(source.pread(end.offset, end.size), end, limits)
            self._directory = end.offset
            self.trailing = end.trailing  # bytes after the archive
            ordered = sorted(self.members, key=itemgetter(1))  # by header
            self._starts = self._deduced(ordered) or self._locate(ordered)
        if end.shift:
            self._note("zip-prefix", f"{end.shift:,} bytes before the zip archive, which readers skip")
        if end.trailing:
            self._note("zip-trailing", f"{end.trailing:,} bytes after the zip archive, which readers skip")
        self._names_noted()

    @lazy
    def by_name(self) -> dict[str, Member]:
        """The member of each name; of two with one name the last, as loaders take it (a note says so)."""
        return {m.name: m for m in self.members}

    def extent(self, member: Member, file: int) -> Extent:
        """Where the stored bytes lie; ``file`` is the number in the model. Raises UnsupportedError for other codecs."""
        name, header, stored, _size, _crc, codec = member
        if codec != "raw" and codec != "deflate":
            raise UnsupportedError(
                f"is stored in a way that is not read: {codec}", path=self.source.path, member=name, offset=header
            )
        return Extent(file, self.base + self._starts[header], stored, codec)

    def start(self, member: Member) -> int:
        """The offset of the first stored byte."""
        return self._starts[member.header]

    def read(self, member: Member, *, limit: str = "member") -> bytes:
        """The contents of a small member, inflated, at most ``limits.<limit>`` bytes. A wrong CRC-32 becomes a note."""
        with located(path=self.source.path, member=member.name):
            extent = self.extent(member, 0)
            self.limits.check(limit, member.size, "the member's size", offset=member.header)
            raw = member.codec == "raw"
            data = self.source.pread(self.start(member), extent.length) if raw else self._inflate(member)
        if zlib.crc32(data) != member.crc:
            shown = printable(member.name, code=True)
            self._note("zip-checksum", f"member {shown} does not match its CRC-32", "warning")
        return data

    def _inflate(self, member: Member) -> bytes:
        ratio = self.limits.ratio
        if member.size > MIB and member.size > ratio * member.stored:
            raise LimitError(
                f"inflates {member.stored:,} bytes to {member.size:,}, more than {ratio} times",
                offset=member.header,
                hint="if the file is trusted, raise the limit: `--limit ratio=1100`",
            )
        start = self._starts[member.header]
        stream = zlib.decompressobj(-15)
        try:
            data = stream.decompress(self.source.pread(start, member.stored), member.size + 1)
        except zlib.error as error:
            raise DamagedFileError(f"the compressed data is damaged: {error}", offset=start) from None
        if len(data) != member.size or not stream.eof:
            raise DamagedFileError(
                f"inflates to {'more' if len(data) > member.size else 'less'} than the "
                f"{member.size:,} bytes the zip directory says",
                offset=start,
            )
        return data

    def _deduced(self, ordered: list[Member]) -> dict[int, int] | None:
        """Of a file far away, where each local header is a request: data offsets from the few that are near at hand.

        PyTorch aligns data to 64 bytes and puts a descriptor after each, longer beyond 4 GB: the data of a member end
        that much before the next one. None where that does not fit, or the file is near.
        """
        if not getattr(self.source, "far", False) or len(ordered) < 2 * _SAMPLED:
            return None
        ends = [m.header for m in ordered[1:]] + [self._directory]
        near = [*range(_SAMPLED), *range(len(ordered) - _SAMPLED, len(ordered))]
        known = self._locate([ordered[n] for n in near])
        gaps = {(_is_wide(ordered[n]), ends[n] - known[ordered[n].header] - ordered[n].stored) for n in near}
        after = dict(gaps)
        if len(after) != len(gaps) or not {_is_wide(m) for m in ordered} <= set(after):
            return None
        starts = {m.header: end - after[_is_wide(m)] - m.stored for m, end in zip(ordered, ends, strict=True)}
        fits = (start % _ALIGNED == 0 and start >= header + 30 for header, start in starts.items())
        if not all(fits) or any(starts[header] != start for header, start in known.items()):
            return None
        self._note(
            "zip-far",
            f"{len(ordered) - len(known):,} local zip headers were not read, since the file is not here: places are "
            "those that the directory and the alignment give",
        )
        return starts

    def _locate(self, ordered: list[Member]) -> dict[int, int]:
        """Local header offset -> data offset, with every span checked; reads ahead where headers lie close together."""
        starts: dict[int, int] = {}
        pread, unpack, directory = self.source.pread, _LOCAL.unpack_from, self._directory
        window, base, window_end, free, owner, differ = b"", 0, 0, 0, "", 0
        for number, (called, header, m_stored, m_size, m_crc, codec) in enumerate(ordered):
            if header < free:
                raise InvalidFileError(
                    f"overlaps member {printable(owner, code=True)}",
                    member=called,
                    offset=header,
                    detail=f"which ends at byte {free:,}",
                )
            if header + 30 > directory:
                raise DamagedFileError(
                    "begins after the start of the zip directory",
                    member=called,
                    offset=header,
                    detail=f"the directory is at byte {directory:,}",
                )
            if header + 286 > window_end:
                base, window_end = header, min(directory, header + self._ahead(ordered, number))
                window = pread(base, window_end - base)
            if header + 30 > window_end:
                base, window_end = header, min(directory, header + 286)
                window = pread(base, window_end - base)
            signature, flags, method, crc, stored, size, name_length, extra = unpack(window, header - base)
            if signature != LOCAL:
                raise DamagedFileError("there is no zip member where the directory says", member=called, offset=header)
            start = header + 30 + name_length + extra
            free, owner = start + m_stored, called
            if free > directory:
                raise DamagedFileError(
                    f"ends {free - directory:,} bytes after the start of the zip directory", member=called, offset=start
                )
            starts[header] = start
            name = window[header - base + 30 : header - base + 30 + name_length]
            if codec != ("deflate" if method else "raw"):
                differ += 1
            elif (crc != m_crc or size != m_size or stored != m_stored) and not flags & 8 and size != 0xFFFFFFFF:
                differ += 1  # elsewhere the sizes follow the data, or are in the zip64 field
            elif name != called.encode() and len(name) == name_length and name.decode("cp437") != called:
                differ += 1  # a very long name may lie outside the window
        if differ:
            self._note(
                "zip-headers",
                f"{differ:,} local zip headers disagree with the directory, which was believed",
                "warning",
            )
        return starts

    @staticmethod
    def _ahead(ordered: list[Member], number: int) -> int:
        """How much to read at once: on to the next header as long as headers follow closely."""
        first = last = ordered[number].header
        for following in range(number + 1, len(ordered)):
            header = ordered[following][1]
            if header - last > _NEAR or header - first > _WINDOW:
                break
            last = header
        return last - first + 286

    def _names_noted(self) -> None:
        again = len(self.members) - len(self.by_name)
        if again:
            self._note(
                "zip-duplicate", f"{again:,} zip members repeat the name of another; the last one counts", "warning"
            )
        odd = [n for n in self.by_name if n.startswith(("/", "\\")) or ".." in n.replace("\\", "/").split("/")]
        if odd:
            self._note(
                "zip-path",
                f"member {printable(odd[0], code=True)} names a path outside the archive, which is never followed",
                "warning",
            )

    def _note(self, code: str, text: str, level: str = "info") -> None:
        self.notes.append(Note(code, text, level))


def _is_wide(member: Member) -> bool:
    """Whether its numbers need zip64."""
    return max(member.header, member.stored, member.size) >= 0xFFFFFFFF
