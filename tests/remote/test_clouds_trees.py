"""Trees, catalogs and batches in `gs://` and `az://`, against servers that speak as those services do."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from tests.api.test_inspect_many import BROKEN, WHOLE, a_tree, found

from modelglot.api.batching import batch
from modelglot.sources.remote import stores

emulators: Any = pytest.importorskip("tests.remote.emulators", reason="the servers are started there")


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    stores._bucket.cache_clear()
    yield
    stores._bucket.cache_clear()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "tree").mkdir()
    return a_tree(tmp_path / "tree")


def files(tree: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(p for p in tree.rglob("*") if p.is_file()):
        yield path.relative_to(tree).as_posix(), path.read_bytes()


def check(root: str, folder: Path) -> None:
    assert found(f"{root}/**", f"{root}/") == WHOLE | BROKEN
    pytest.importorskip("duckdb")
    from modelglot.api.cataloguing import build_catalog, query_catalog

    target = folder / "c.parquet"
    assert build_catalog(root, target).errors == len(BROKEN)
    assert query_catalog(target, "select count(*), count(etag), count(mtime_ns), count(inode) from catalog").rows == (
        (len(WHOLE | BROKEN),) * 3 + (0,),
    )
    assert build_catalog(root, target).looked_at == 0
    job = f'verb = "convert"\nsource = "{root}/**/*.pth"\ntarget = "out/{{below}}/{{stem}}.safetensors"\n'
    (folder / "jobs.toml").write_text(f"[[job]]\n{job}")
    assert [o.outcome for o in batch(folder / "jobs.toml").outcomes] == ["done"]
    assert [o.outcome for o in batch(folder / "jobs.toml").outcomes] == ["skipped"]
    assert (folder / "out/flat/c.safetensors").exists()


def test_google(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with emulators.fake_gcs() as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        for name, data in files(tree):
            emulators.give_google(url, f"dir/{name}", data)
        check("gs://models/dir", tmp_path)


def test_azure(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with emulators.azurite() as url:
        account = f"AccountName={emulators.ACCOUNT};AccountKey={emulators.KEY}"
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", f"{account};BlobEndpoint={url};")
        for name, data in files(tree):
            where = stores.place(f"az://models/dir/{name}")
            import_module("obstore").put(where.store, where.key, data)
        check("az://models/dir", tmp_path)
        from modelglot.api.cataloguing import build_catalog

        for looked_at in (len(WHOLE | BROKEN), 0):
            assert build_catalog("az://models/dir", "az://models/c.parquet").looked_at == looked_at
