"""A URL as a store and a key in it. Credentials come from the standard chains of each service and are never shown."""

from __future__ import annotations

import os
from datetime import timedelta
from functools import lru_cache
from importlib import import_module
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, urlsplit

from modelglot.core.errors import CannotOpenError, MissingExtraError
from modelglot.core.urls import public
from modelglot.sources.remote.causes import cause
from modelglot.sources.remote.settings import SETTINGS

SCHEMES = ("http", "https", "s3", "gs", "az", "hf")
_HUB = "https://huggingface.co"
_READING = {"timeout": "1d", "read_timeout": "60s"}  # an answer may be long, but something of it has to arrive
_WRITING = {"timeout": "15m"}  # of one part of an upload
_RETRIES = {"max_retries": 4, "retry_timeout": timedelta(seconds=60)}  # with longer and longer pauses between


class Place(NamedTuple):
    """``key`` names an object of ``store``; ``listed`` says whether the store can list its objects."""

    store: Any
    key: str
    listed: bool


def is_remote(path: str) -> bool:
    scheme, colon, _ = path.partition("://")
    return bool(colon) and scheme.lower() in SCHEMES


def place(url: str, *, writing: bool = False) -> Place:
    """Raises CannotOpenError for a URL that names no object, MissingExtraError."""
    scheme, rest = _split(url)
    if scheme in ("http", "https"):
        parts = urlsplit(url)
        if not parts.netloc:
            raise CannotOpenError("a URL needs a host", path=public(url))
        if parts.query:  # signed addresses: the store keeps the query, and the key is empty
            return Place(_http(url.partition("#")[0], ()), "", False)
        return Place(_http(f"{scheme}://{parts.netloc}", ()), quote(unquote(parts.path).lstrip("/")), False)
    bucket, _, key = rest.partition("/")
    if scheme == "hf":
        return _hub(bucket, key, url)
    if not bucket:
        raise CannotOpenError("a URL needs a bucket", path=public(url))
    return Place(_bucket(scheme, bucket, writing), key, True)


def below(root: str, name: str) -> str:
    """The URL of a name in a folder. Names in buckets stand as they are; in web addresses they are quoted."""
    return f"{root}/{quote(name) if _split(root)[0] in ('http', 'https') else name}"


def folder_and_name(url: str) -> tuple[str, str | None]:
    """The folder of a URL, and the name in it; None where the URL is a folder: it ends with a slash."""
    path = url.partition("#")[0].partition("?")[0] if _split(url)[0] in ("http", "https") else url
    root, _, name = path.rpartition("/")
    return root, name or None


def _split(url: str) -> tuple[str, str]:
    scheme, _, rest = url.partition("://")
    return scheme.lower(), rest


def _hub(owner: str, path: str, url: str) -> Place:
    """``hf://owner/repository[@revision]/file``."""
    name, _, file = path.partition("/")
    name, _, revision = name.partition("@")
    if not owner or not name or not file:
        raise CannotOpenError("the hub's files are `hf://owner/repository[@revision]/file`", path=url)
    base = os.environ.get("HF_ENDPOINT", _HUB).rstrip("/")
    store = _http(f"{base}/{owner}/{name}/resolve/{quote(revision or 'main', safe='')}", _authorization())
    return Place(store, quote(file), False)


def _authorization() -> tuple[tuple[str, str], ...]:
    """The token that `hf auth login` or HF_TOKEN left, where `huggingface_hub` is installed."""
    try:
        token = import_module("huggingface_hub").get_token()
    except ImportError:
        token = os.environ.get("HF_TOKEN")
    return (("authorization", f"Bearer {token}"),) if token else ()


@lru_cache(64)
def _http(base: str, headers: tuple[tuple[str, str], ...]) -> Any:
    options: dict[str, Any] = {**_READING, "allow_http": base.startswith("http://")}
    if headers:
        options["default_headers"] = dict(headers)
    return _stores().HTTPStore.from_url(base, client_options=options, retry_config=_RETRIES)


@lru_cache(64)
def _bucket(scheme: str, bucket: str, writing: bool) -> Any:
    settings = SETTINGS[scheme]()
    plain = any(str(address).startswith("http://") for address in settings.addresses)
    options: dict[str, Any] = {**(_WRITING if writing else _READING), **({"allow_http": True} if plain else {})}
    stores = _stores()
    try:
        return stores.from_url(f"{scheme}://{bucket}", client_options=options, retry_config=_RETRIES, **settings.given)
    except (import_module("obstore.exceptions").BaseError, ValueError) as error:
        raise CannotOpenError(
            "the settings of the service are not enough", path=f"{scheme}://{bucket}", detail=cause(error),
            hint=settings.hint,
        ) from None  # fmt: skip


def _stores() -> Any:
    try:
        return import_module("obstore.store")
    except ImportError:
        raise MissingExtraError(
            "files elsewhere are read through `obstore`", hint="pip install 'modelglot[remote]'"
        ) from None
