"""What each service's own environment says of addresses and accounts, beyond what `obstore` reads there by itself."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, NamedTuple


class Settings(NamedTuple):
    """``given`` goes to the store; ``addresses`` are those of its servers, where they are not the service's own."""

    given: Mapping[str, Any]
    addresses: tuple[str, ...]
    hint: str


def amazon() -> Settings:
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    given = _of_boto() | ({"endpoint": endpoint} if endpoint else {})
    hint = "set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or `AWS_SKIP_SIGNATURE=true` for what is public"
    return Settings(given, (endpoint,), hint)


def _of_boto() -> dict[str, Any]:
    """boto3 knows profiles and the rest of Amazon's chain; without it, the environment and the instance."""
    if os.environ.get("AWS_ACCESS_KEY_ID"):
        return {}
    try:
        provider = import_module("obstore.auth.boto3").Boto3CredentialProvider
        return {"credential_provider": provider()}
    except (ImportError, ValueError):  # no boto3, or it has no credentials
        return {}


def google() -> Settings:
    """``STORAGE_EMULATOR_HOST`` is where Google's own libraries look for a server that asks for no credentials."""
    host = os.environ.get("STORAGE_EMULATOR_HOST", "")
    given: dict[str, Any] = {}
    if host:
        host = (host if "://" in host else f"http://{host}").rstrip("/")
        nobody = {
            "gcs_base_url": host,
            "disable_oauth": True,
            "client_email": "",
            "private_key": "",
            "private_key_id": "",
        }
        given["service_account_key"] = json.dumps(nobody)
    return Settings(
        given, (host,), "set `GOOGLE_APPLICATION_CREDENTIALS`, or run `gcloud auth application-default login`"
    )


# of a connection string: what Azure calls it, what the store does
_CONNECTION = {
    "AccountName": "account_name", "AccountKey": "account_key", "BlobEndpoint": "endpoint",
    "SharedAccessSignature": "sas_key",
}  # fmt: skip
# of the environment of Azure's own tool, where the store has other names
_VARIABLES = {"AZURE_STORAGE_ACCOUNT": "account_name", "AZURE_STORAGE_KEY": "account_key"}


def azure() -> Settings:
    """``AZURE_STORAGE_CONNECTION_STRING``, else the account's variables."""
    pairs = (part.partition("=") for part in os.environ.get("AZURE_STORAGE_CONNECTION_STRING", "").split(";"))
    given: dict[str, Any] = {_CONNECTION[key]: value for key, _, value in pairs if key in _CONNECTION}
    if not given:
        given = {key: os.environ[name] for name, key in _VARIABLES.items() if os.environ.get(name)}
    addresses = (given.get("endpoint", ""), os.environ.get("AZURE_STORAGE_ENDPOINT", ""))
    return Settings(
        given, addresses, "set `AZURE_STORAGE_CONNECTION_STRING`, or `AZURE_STORAGE_ACCOUNT_NAME` and a key"
    )


def hint(url: str) -> str | None:
    """What to set for a store."""
    settings = SETTINGS.get(url.partition("://")[0].lower())
    return settings().hint if settings else None


SETTINGS: Mapping[str, Callable[[], Settings]] = {"s3": amazon, "gs": google, "az": azure}
