"""The promises of `modelglot.core.format.Format`, as tests that any format inherits.

A writer subclasses `FormatConformance` and names its format; a reader without a writer subclasses
`ReaderConformance` and makes a sample file::

    class TestMyFormat(FormatConformance):
        format = "my-format"
"""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any, ClassVar

import pytest

import modelglot
from modelglot.api.reading import read_as, read_model
from modelglot.api.salvaging import salvage
from modelglot.api.saving import save
from modelglot.api.target import resolve_target
from modelglot.core.errors import ModelFileError
from modelglot.core.format import Format, Salvager
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.core.tensor import Missing, Stored
from modelglot.engine.pool import SourcePool
from modelglot.engine.stream import read
from modelglot.formats import registry
from modelglot.sources.file import FileProbe
from modelglot.testing.models import tiny_state

POINTS = 160  # truncations and flips tried, beyond the first 64 bytes


class ReaderConformance:
    """Every promise that needs only a sample file."""

    format: ClassVar[str]
    checksummed: ClassVar[bool] = False  # a flipped data bit may be refused on reading
    beside: ClassVar[tuple[str, ...]] = ()  # other files that the sample consists of

    def make(self, folder: Path) -> Path:
        """Write a sample into ``folder`` and return its path."""
        raise NotImplementedError

    @pytest.fixture
    def sample(self, tmp_path: Path) -> Path:
        folder = tmp_path / "sample"
        folder.mkdir()
        return self.make(folder)

    @property
    def reader(self) -> Format:
        return registry.get(self.format)

    def test_sniffs_its_own_and_nobody_else_does(self, sample: Path) -> None:
        found, match = registry.detect(FileProbe(str(sample)))
        assert found.info.name == self.format
        assert match.why

    def test_suffix_does_not_matter(self, sample: Path, tmp_path: Path) -> None:
        other = tmp_path / "renamed.xyz"
        other.write_bytes(sample.read_bytes())
        assert registry.detect(FileProbe(str(other)))[0].info.name == self.format

    def test_reading_twice_is_equal_and_leaves_the_file_alone(self, sample: Path) -> None:
        before, stamp = sample.read_bytes(), os.stat(sample).st_mtime_ns
        one, two = read_model(str(sample)), read_model(str(sample))
        assert one.tensors == two.tensors
        assert one.metadata == two.metadata
        assert one.notes == two.notes
        assert (sample.read_bytes(), os.stat(sample).st_mtime_ns) == (before, stamp)

    def test_every_extent_lies_inside_its_file(self, sample: Path) -> None:
        model = read_model(str(sample))
        assert model.tensors
        for tensor in model.tensors.values():
            if isinstance(tensor.data, Stored):
                for extent in tensor.data.extents:
                    assert extent.offset >= 0
                    assert extent.offset + extent.length <= model.files[extent.file].size

    def test_truncation_is_an_error_with_the_path(self, sample: Path) -> None:
        whole = sample.read_bytes()
        for length in points(len(whole)):
            sample.write_bytes(whole[:length])
            try:
                model = read_as(self.reader, str(sample), Limits())
            except ModelFileError as error:
                assert error.path or error.member, f"no place in: {error}"  # noqa: PT017
                continue
            missing = any(isinstance(t.data, Missing) for t in model.tensors.values())
            assert missing or self._still_whole(model, whole, length), (
                f"cut to {length} of {len(whole)} and not noticed"
            )

    def _still_whole(self, model: Model, whole: bytes, length: int) -> bool:
        """Bytes after the last tensor may be padding or a directory that the format does not need."""
        ends = [
            e.offset + e.length for t in model.tensors.values() if isinstance(t.data, Stored) for e in t.data.extents
        ]
        return max(ends, default=0) <= length and not any(whole[length:])

    def test_a_flipped_bit_never_escapes_as_another_exception(self, sample: Path) -> None:
        whole = sample.read_bytes()
        chooser = random.Random(1)
        for position in points(len(whole)):
            damaged = bytearray(whole)
            damaged[position] ^= 1 << chooser.randrange(8)
            sample.write_bytes(damaged)
            try:
                model = read_as(self.reader, str(sample), Limits())
                values(model)
            except ModelFileError:
                pass

    def test_what_is_salvaged_is_whole(self, sample: Path) -> None:
        """Of a cut file only tensors that are what they were; a flipped bit never escapes as another exception."""
        if not isinstance(self.reader, Salvager):
            return
        whole, expected = sample.read_bytes(), values(read_model(str(sample)))
        chooser = random.Random(2)
        for position in points(len(whole))[::2]:
            flipped = bytearray(whole)
            flipped[position] ^= 1 << chooser.randrange(8)
            for damaged in (whole[:position], flipped):
                sample.write_bytes(damaged)
                try:
                    found = values(salvage(str(sample), self.format, Limits())[0])
                except ModelFileError:
                    continue
                if damaged is not flipped:
                    assert all(data == expected[name] for name, data in found.items() if data), position

    def test_limits_are_respected(self, sample: Path) -> None:
        tight = Limits(header=8, pickle=8, pickle_opcodes=1, member=8, entries=1, tensors=1, name=1, index=1)
        with pytest.raises(ModelFileError):
            read_as(self.reader, str(sample), tight)

    def test_nothing_is_imported_or_connected(self, sample: Path) -> None:
        import sys

        events: list[str] = []
        watched = ("socket.connect", "subprocess.Popen", "os.system", "exec", "import")
        read_model(str(sample))  # modelglot's own modules
        active = True

        package = str(Path(modelglot.__file__).parent)

        def hook(event: str, args: Any) -> None:
            own = event == "subprocess.Popen" and any(str(a).startswith(package) for a in args[1])
            if active and event in watched and not own:
                events.append(f"{event} {args[0] if args else ''!s:.80}")

        sys.addaudithook(hook)  # cannot be removed: `active` switches it off
        try:
            values(read_model(str(sample)))
        finally:
            active = False
        assert not [e for e in events if not e.startswith(("import numpy", "import ml_dtypes", "import modelglot"))]


class FormatConformance(ReaderConformance):
    """Also every promise of a writer."""

    def state(self) -> dict[str, Any]:
        """Arrays to write; all dtypes that the format holds, by default."""
        return tiny_state(sorted(registry.get(self.format).info.dtypes, key=lambda d: d != "f32"))

    metadata: ClassVar[dict[str, str]] = {}

    def make(self, folder: Path) -> Path:
        path = folder / f"sample{self.reader.info.suffixes[0]}"
        save(self.state(), path, to=self.format, metadata=self.metadata)
        return path

    def test_what_was_written_is_read_back(self, sample: Path) -> None:
        state = self.state()
        model = read_model(str(sample))
        assert sorted(model.tensors) == sorted(state)
        for name, found in values(model).items():
            tensor, wanted = model.tensors[name], state[name]
            assert tensor.shape in (wanted.shape, self.shape(wanted.shape)), name
            assert found == wanted.tobytes(), name
        for key, value in self.metadata.items():
            assert model.metadata[key] == value

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """How the format stores a shape it cannot hold as it is."""
        return shape

    def test_writing_twice_gives_equal_bytes(self, tmp_path: Path) -> None:
        (tmp_path / "a").mkdir()
        (tmp_path / "b").mkdir()
        one, two = self.make(tmp_path / "a"), self.make(tmp_path / "b")
        assert one.read_bytes() == two.read_bytes()

    def test_nothing_else_is_left_behind(self, sample: Path) -> None:
        assert {p.name for p in sample.parent.iterdir()} == {sample.name, *self.beside}

    def test_a_failed_write_leaves_the_old_file(self, sample: Path) -> None:
        before = sample.read_bytes()
        state = self.state()
        with pytest.raises(ModelFileError):
            save({**state, "bad": object()}, sample, to=self.format)
        assert sample.read_bytes() == before
        assert {p.name for p in sample.parent.iterdir()} == {sample.name, *self.beside}

    def test_layout_is_pure(self, sample: Path) -> None:
        model = read_model(str(sample))
        place = resolve_target(str(sample), self.format, self.format)
        assert self.reader.layout(model, place.options) == self.reader.layout(model, place.options)
        assert model.tensors == read_model(str(sample)).tensors

    def test_slots_lie_inside_and_apart(self, sample: Path) -> None:
        model = read_model(str(sample))
        for file in self.reader.layout(model, resolve_target(str(sample), self.format, self.format).options).files:
            spans = [(s.offset, s.offset + s.length) for s in file.slots if s.length]
            spans += [(p.offset, p.offset + len(p.data)) for p in file.pieces if p.data]
            end = 0
            for begin, stop in sorted(spans):
                assert begin >= end
                end = stop
            assert end <= file.size


def points(size: int) -> list[int]:
    """Every byte of the first 64 and of the last 64, and as many in between as `POINTS` allows."""
    chooser = random.Random(size)
    between = {chooser.randrange(size) for _ in range(POINTS)} if size else set()
    return sorted({*range(min(64, size)), *range(max(0, size - 64), size), *between})


def values(model: Model) -> dict[str, bytes]:
    pool = SourcePool(model.files)
    try:
        return {n: bytes(read(t, pool)) for n, t in model.tensors.items() if not isinstance(t.data, Missing)}
    finally:
        pool.close()
