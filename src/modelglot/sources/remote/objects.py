"""What stores say of their objects without giving them: names, sizes, times, versions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib import import_module
from typing import Any, NamedTuple

from modelglot.core.errors import CannotOpenError
from modelglot.core.urls import public
from modelglot.sources.remote.causes import cause
from modelglot.sources.remote.stores import place


class Object(NamedTuple):
    """``etag`` is the store's word for the version, without quotes; empty where it has none."""

    size: int
    mtime_ns: int
    etag: str


def can_list(url: str) -> bool:
    """Raises CannotOpenError for a URL that names nothing, MissingExtraError."""
    return url.startswith("hf://") or place(url + "/").listed


def objects(root: str, most: int) -> Iterator[tuple[str, Object]]:
    """Names below a folder of a store, page by page in the store's order. Raises CannotOpenError."""
    if root.startswith("hf://"):
        yield from _of_hub(root)
        return
    where, count = place(root + "/"), 0
    prefix = where.key.rstrip("/") + "/" if where.key else ""
    try:
        for page in import_module("obstore").list(where.store, prefix or None):
            count += len(page)
            if count > most:
                raise CannotOpenError(
                    f"more than {most:,} objects", path=public(root), hint="name a folder further down"
                )
            for meta in page:
                yield meta["path"][len(prefix) :], as_object(meta)
    except import_module("obstore.exceptions").BaseError as error:
        raise _unlisted(error, root) from None


def children(root: str) -> tuple[dict[str, Object], list[str]]:
    """Objects right in a folder of a store, and names of its folders. Raises CannotOpenError."""
    where = place(root + "/")
    try:
        found = import_module("obstore").list_with_delimiter(where.store, where.key.rstrip("/") or None)
    except import_module("obstore.exceptions").BaseError as error:
        raise _unlisted(error, root) from None
    files = {meta["path"].rpartition("/")[2]: as_object(meta) for meta in found["objects"]}
    return files, [path.rstrip("/").rpartition("/")[2] for path in found["common_prefixes"]]


class NoPathError(CannotOpenError):
    """A key such as ``a//b`` or ``a/../b``."""


def _unlisted(error: Exception, root: str) -> CannotOpenError:
    kind = NoPathError if isinstance(error, import_module("obstore.exceptions").InvalidPathError) else CannotOpenError
    return kind("cannot be listed", path=public(root), detail=cause(error))


def object_at(url: str) -> Object | None:
    """What is there now; None for nothing, and for what access is refused to. One request, and no byte of it."""
    where = place(url)
    try:
        return as_object(import_module("obstore").head(where.store, where.key))
    except (import_module("obstore.exceptions").BaseError, FileNotFoundError, PermissionError):
        return None


def as_object(meta: Any) -> Object:
    """Of what `obstore` tells. Listings of Azure have ETags without the quotes that headers have."""
    return Object(meta["size"], round(meta["last_modified"].timestamp() * 1e9), bare(meta["e_tag"]))


def bare(etag: str | None) -> str:
    return (etag or "").removeprefix("W/").strip('"')


def _of_hub(root: str) -> Iterator[tuple[str, Object]]:
    """Through `huggingface_hub`; a file by its name needs none. Raises CannotOpenError, also where it is missing."""
    owner, _, rest = root.removeprefix("hf://").partition("/")
    name, _, below = rest.partition("/")
    name, _, revision = name.partition("@")
    try:
        api = import_module("huggingface_hub").HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
        found = list(api.list_repo_tree(f"{owner}/{name}", recursive=True, revision=revision or None))
    except ImportError:
        hint = "pip install 'modelglot[hub]'"
        raise CannotOpenError("what a repository holds is listed by `huggingface_hub`", path=root, hint=hint) from None
    except Exception as error:  # the library's own, which need no common type
        raise CannotOpenError("cannot be listed", path=root, detail=type(error).__name__) from None
    prefix = f"{below}/" if below else ""
    for file in found:
        size = getattr(file, "size", None)  # folders have none
        if size is not None and file.path.startswith(prefix):
            large = getattr(file, "lfs", None)
            yield file.path[len(prefix) :], Object(size, 0, large.sha256 if large else file.blob_id)
