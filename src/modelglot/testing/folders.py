"""The promises of a reader whose model is a folder: checkpoints of several processes, arrays in a file each.

::

    class TestMyFolder(FolderConformance):
        format = "my-folder"
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import ClassVar

import pytest

from modelglot.api.reading import read_as, read_model
from modelglot.core.errors import ModelFileError
from modelglot.core.limits import Limits
from modelglot.core.tensor import Stored
from modelglot.formats import registry
from modelglot.sources.file import FileProbe
from modelglot.testing.conformance import points, values


class FolderConformance:
    """Every promise that needs only a sample folder."""

    format: ClassVar[str]

    def make(self, folder: Path) -> None:
        """Write a sample into ``folder``."""
        raise NotImplementedError

    @pytest.fixture
    def sample(self, tmp_path: Path) -> Path:
        folder = tmp_path / "sample"
        folder.mkdir()
        self.make(folder)
        return folder

    def test_sniffs_its_own_and_nobody_else_does(self, sample: Path) -> None:
        found, match = registry.detect(FileProbe(str(sample)))
        assert found.info.name == self.format
        assert match.why

    def test_reading_twice_is_equal_and_leaves_the_files_alone(self, sample: Path) -> None:
        files = [p for p in sample.rglob("*") if p.is_file()]
        before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in files}
        one, two = read_model(str(sample)), read_model(str(sample))
        assert one.tensors == two.tensors
        assert (one.metadata, one.notes) == (two.metadata, two.notes)
        assert values(one) == values(two)
        assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in files} == before

    def test_every_extent_lies_inside_its_file(self, sample: Path) -> None:
        model = read_model(str(sample))
        assert model.tensors
        for tensor in model.tensors.values():
            for extent in tensor.data.extents if isinstance(tensor.data, Stored) else ():
                assert 0 <= extent.offset <= extent.offset + extent.length <= model.files[extent.file].size

    def test_damage_is_an_error_with_a_place_or_no_difference(self, sample: Path) -> None:
        """Each file cut at many lengths and with single bits turned: a ModelFileError or a model, nothing else."""
        reader, chooser = registry.get(self.format), random.Random(1)
        for path in [p for p in sample.rglob("*") if p.is_file()]:
            whole = path.read_bytes()
            for at in points(len(whole)):
                flipped = bytearray(whole)
                flipped[at] ^= 1 << chooser.randrange(8)
                for damaged in (whole[:at], bytes(flipped)):
                    path.write_bytes(damaged)
                    try:
                        values(read_as(reader, str(sample), Limits()))
                    except ModelFileError as error:
                        assert error.path or error.member or error.tensor, f"no place in: {error}"  # noqa: PT017
            path.write_bytes(whole)

    def test_a_missing_file_is_an_error_or_said(self, sample: Path) -> None:
        reader = registry.get(self.format)
        whole = values(read_as(reader, str(sample), Limits()))
        for path in [p for p in sample.rglob("*") if p.is_file()]:
            raw = path.read_bytes()
            path.unlink()
            try:
                model = read_as(reader, str(sample), Limits())
                assert values(model) == whole or model.notes, f"without {path.name}"
            except ModelFileError:
                pass
            path.write_bytes(raw)

    def test_limits_are_respected(self, sample: Path) -> None:
        tight = Limits(header=8, pickle=8, pickle_opcodes=1, member=8, entries=1, tensors=1, name=1, index=1)
        with pytest.raises(ModelFileError):
            read_as(registry.get(self.format), str(sample), tight)
