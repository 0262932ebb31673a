"""The one way to a bucket: boto3, with its own chain of credentials, its retries, and limits to waiting.

Environment, beside boto3's own (AWS_ACCESS_KEY_ID, AWS_PROFILE, AWS_ENDPOINT_URL_S3, AWS_MAX_ATTEMPTS …):
  OPABINIA_STORAGE_TIMEOUT   seconds that a connection may stay silent (default 60)
  OPABINIA_GS_ENDPOINT_URL   where gs:// is served (default Google's S3 interface)
  OPABINIA_GS_PROFILE        the profile in ~/.aws with the HMAC key for gs://, where s3:// needs another
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from opabinia.storage.addresses import ObjectAddress
from opabinia.storage.boto import boto3_module, boto_config, boto_failures, error_code
from opabinia.storage.failures import EXPIRED, explain

GS_ENDPOINT = "https://storage.googleapis.com"

_TIMEOUT = "OPABINIA_STORAGE_TIMEOUT"
_ATTEMPTS = "AWS_MAX_ATTEMPTS"
_GS_ENDPOINT = "OPABINIA_GS_ENDPOINT_URL"
_GS_PROFILE = "OPABINIA_GS_PROFILE"
_CONNECT_SECONDS = 10.0


class S3Client(Protocol):
    """The part of boto3's client that is used here; requests and answers are those of the S3 API."""

    def get_object(self, **request: Any) -> dict[str, Any]: ...
    def put_object(self, **request: Any) -> dict[str, Any]: ...
    def create_multipart_upload(self, **request: Any) -> dict[str, Any]: ...
    def upload_part(self, **request: Any) -> dict[str, Any]: ...
    def complete_multipart_upload(self, **request: Any) -> dict[str, Any]: ...
    def abort_multipart_upload(self, **request: Any) -> dict[str, Any]: ...
    def get_paginator(self, operation: str) -> Any: ...


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds that a connection may stay silent, and how often a request or a body is tried before giving up."""

    timeout: float
    attempts: int


def patience() -> Patience:
    """The limits that the environment sets. Raises ValueError naming the variable that is no positive number."""
    return Patience(_positive(_TIMEOUT, 60.0), max(1, round(_positive(_ATTEMPTS, 5.0))))


@contextmanager
def asking(place: ObjectAddress, right: str) -> Generator[S3Client]:
    """Yield the client for `place`, to `right` (read, write or list) there; its errors leave as a ValueError of one line."""
    try:
        yield client_for(place.scheme)
    except boto_failures() as error:
        if error_code(error) in EXPIRED:
            # The next client reads the files of credentials again, which may have been renewed.
            _client.cache_clear()
        raise ValueError(explain(error, place, right)) from error


def client_for(scheme: str) -> S3Client:
    """A client made in this process under the present environment; making one takes a tenth of a second, so it is kept."""
    settings = frozenset(item for item in os.environ.items() if item[0].startswith(("AWS_", "OPABINIA_")))
    return _client(scheme, settings, os.getpid())


@lru_cache(maxsize=8)
def _client(scheme: str, settings: frozenset[tuple[str, str]], process: int) -> S3Client:
    new_session = boto3_module().Session
    if scheme == "s3":
        return new_session().client("s3", config=_config())
    session = new_session(profile_name=os.environ.get(_GS_PROFILE))
    endpoint = os.environ.get(_GS_ENDPOINT) or GS_ENDPOINT
    return session.client("s3", endpoint_url=endpoint, region_name="auto", config=_config())


def _config() -> Any:
    limits = patience()
    return boto_config()(
        connect_timeout=min(_CONNECT_SECONDS, limits.timeout),
        read_timeout=limits.timeout,
        retries={"mode": "standard", "total_max_attempts": limits.attempts},
        # Google's and older servers do not know the newer checksums; MD5 is sent with every write instead.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )


def _positive(name: str, default: float) -> float:
    text = os.environ.get(name) or str(default)
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise ValueError(f"{name}: {text!r} is no positive number; set one or unset it")
    return value
