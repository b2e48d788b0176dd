"""Objects sent in parts by whoever has their bytes, and visible once all are there: S3's multipart uploads.

`obstore` sends parts too, but of one stream in one process; so this is boto3 (the `s3` extra), with its own standard
chain of credentials. Every part carries its MD5, and the store refuses one that does not fit.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

from modelglot.core.errors import CannotWriteError
from modelglot.core.urls import public

_PART, _MOST_PARTS = 8 << 20, 9_000  # bytes of a part; S3 takes 10,000 of them, of 5 MiB at least
_ATTEMPTS = 6  # of a request, with longer and longer pauses


class Upload(NamedTuple):
    """One object under way: plain data, for any process. ``part`` is the size in bytes of all parts but a last one."""

    url: str
    bucket: str
    key: str
    id: str
    part: int


def in_parts(url: str) -> bool:
    """True where parts of an object can come from several processes."""
    return url.lower().startswith("s3://") and find_spec("boto3") is not None


def begin(url: str, size: int) -> Upload:
    """Raises CannotWriteError, as all here do."""
    bucket, _, key = url.partition("://")[2].partition("/")
    with _talking(url):
        made = _client().create_multipart_upload(Bucket=bucket, Key=key)
    return Upload(url, bucket, key, made["UploadId"], max(_PART, -(-size // _MOST_PARTS)))


def send(upload: Upload, number: int, data: bytes | bytearray) -> str:
    """Part ``number`` (from 1); what the store calls it. Sent again, it is replaced."""
    md5 = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
    with _talking(upload.url):
        done = _client().upload_part(
            Bucket=upload.bucket, Key=upload.key, UploadId=upload.id, PartNumber=number, Body=data, ContentMD5=md5
        )
    return str(done["ETag"])


def finish(upload: Upload, tags: Mapping[int, str]) -> None:
    """Put the parts together, in the order of their numbers: now the object is there."""
    parts = [{"PartNumber": number, "ETag": tag} for number, tag in sorted(tags.items())]
    with _talking(upload.url):
        _client().complete_multipart_upload(
            Bucket=upload.bucket, Key=upload.key, UploadId=upload.id, MultipartUpload={"Parts": parts}
        )


def abort(upload: Upload) -> None:
    """Give up what was sent."""
    with _talking(upload.url):
        _client().abort_multipart_upload(Bucket=upload.bucket, Key=upload.key, UploadId=upload.id)


def _client() -> Any:
    """The last of these names is one that only `obstore` knows; both shall talk to the same server."""
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
    return _made(next(filter(None, map(os.environ.get, names)), None))


@lru_cache(4)
def _made(endpoint: str | None) -> Any:
    config = import_module("botocore.config").Config(
        retries={"max_attempts": _ATTEMPTS, "mode": "standard"}, connect_timeout=20, read_timeout=60,
        request_checksum_calculation="when_required",  # MD5 is what every store that speaks S3 knows
    )  # fmt: skip
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    return (
        import_module("boto3").session.Session().client("s3", config=config, region_name=region, endpoint_url=endpoint)
    )


@contextmanager
def _talking(url: str) -> Iterator[None]:
    errors = import_module("botocore.exceptions")
    try:
        yield
    except errors.ClientError as error:
        raise _refused(url, _said(error.response)) from None
    except errors.BotoCoreError as error:
        raise _refused(url, type(error).__name__) from None


def _said(answer: Mapping[str, Any]) -> str:
    """Status and code: what else the store says may name keys and addresses."""
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", "")
    code = str(answer.get("Error", {}).get("Code", ""))
    return f"the server answers {status}{f' `{code[:40]}`' if code.isalnum() and code != str(status) else ''}"


def _refused(url: str, detail: str) -> CannotWriteError:
    return CannotWriteError("the upload failed", path=public(url), detail=detail, hint="this object was not replaced")
