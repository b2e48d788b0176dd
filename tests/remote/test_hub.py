"""A repository of the hub as a tree: its API lists it, with sizes and versions."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.api.test_inspect_many import BROKEN, WHOLE, a_tree, found

import modelglot as mg
from modelglot.core.errors import CannotOpenError
from modelglot.sources.remote import stores
from modelglot.sources.remote.listing import Listing

from .hub import Hub

pytest.importorskip("huggingface_hub")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    (tmp_path / "repository").mkdir()
    made = Hub(a_tree(tmp_path / "repository"))
    monkeypatch.setenv("HF_ENDPOINT", made.url)
    monkeypatch.setenv("HF_TOKEN", "hf_x")
    stores._http.cache_clear()
    yield made
    made.close()


def test_a_repository_is_a_tree(hub: Hub) -> None:
    seen = found("hf://owner/model/**", "hf://owner/model/")
    assert seen == WHOLE | BROKEN
    assert sum("/tree/" in path for path in hub.requests) == 1
    assert set(found("hf://owner/model/*/*.gguf", "hf://owner/model/")) == {"flat/b.gguf"}
    report = mg.inspect("hf://owner/model/hub/")
    assert report.document()["family"] == "llama (LlamaForCausalLM)"


def test_a_catalog_of_a_repository(hub: Hub, tmp_path: Path) -> None:
    pytest.importorskip("duckdb")
    from modelglot.api.cataloguing import build_catalog, query_catalog

    target = tmp_path / "c.parquet"
    assert build_catalog("hf://owner/model", target).models == len(WHOLE | BROKEN)
    ((etag, digest),) = query_catalog(target, "select etag, digest from catalog where format = 'gguf'").rows
    path = hub.folder / "flat/b.gguf"
    assert (etag, digest) == (hub.etag(path), mg.digest(path).total)
    hub.requests.clear()
    assert build_catalog("hf://owner/model", target).looked_at == 0
    assert all("/tree/" in path for path in hub.requests)


def test_a_repository_that_is_not_there(hub: Hub) -> None:
    with pytest.raises(CannotOpenError, match="cannot be listed"):
        Listing.of(["hf://owner/none"])


def test_without_the_library_a_file_is_read_and_a_tree_is_an_error(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert mg.inspect("hf://owner/model/flat/b.gguf").document()["format"]["name"] == "gguf"
    with pytest.raises(CannotOpenError, match="listed by `huggingface_hub`"):
        Listing.of(["hf://owner/model"])
