"""Credentials, endpoints and limits come from the environment, and what is wrong with them is said."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from opabinia.storage.clients import client_for
from opabinia.storage.folders import list_files
from opabinia.storage.objects import copy_file, exists, read_bytes, whole_object
from tests.storage.conftest import Bucket
from tests.storage.faulty_s3 import refuses

PROFILES = """
[default]
aws_access_key_id = AKDEFAULT
aws_secret_access_key = s
[google]
aws_access_key_id = GOOGHMAC
aws_secret_access_key = s
"""


@pytest.fixture
def profiles(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Credentials in a file, and none in the environment."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    file = tmp_path / "credentials"
    file.write_text(PROFILES)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    return file


def keys_used(bucket: Bucket) -> list[str]:
    return [exchange.headers["authorization"].split("Credential=")[1].split("/")[0] for exchange in bucket.proxy.seen]


def test_the_standard_chain_of_credentials_is_followed(
    bucket: Bucket, profiles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exists(bucket.address("k"))
    monkeypatch.setenv("AWS_PROFILE", "google")
    exists(bucket.address("k"))
    monkeypatch.delenv("AWS_PROFILE")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    exists(bucket.address("k"))
    assert keys_used(bucket) == ["AKDEFAULT", "GOOGHMAC", "AKENV"]


def test_google_storage_is_reached_through_its_s3_interface(
    bucket: Bucket, profiles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPABINIA_GS_ENDPOINT_URL", bucket.proxy.url)
    monkeypatch.setenv("OPABINIA_GS_PROFILE", "google")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    with whole_object(f"gs://{bucket.name}/a/k") as handle:
        handle.write(b"abc")
    assert bucket.get("a/k") == b"abc"
    assert read_bytes(f"gs://{bucket.name}/a/k") == b"abc"
    assert list_files(f"gs://{bucket.name}/a") == [f"gs://{bucket.name}/a/k"]
    assert set(keys_used(bucket)) == {"GOOGHMAC"}
    for exchange in bucket.proxy.seen:
        assert exchange.path.startswith(f"/{bucket.name}")
        assert "/auto/s3/aws4_request" in exchange.headers["authorization"]


def test_google_storage_has_its_own_endpoint(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPABINIA_GS_ENDPOINT_URL", raising=False)
    assert client_for("gs").meta.endpoint_url == "https://storage.googleapis.com"  # type: ignore[attr-defined]


def test_both_are_used_side_by_side(bucket: Bucket, profiles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPABINIA_GS_ENDPOINT_URL", bucket.proxy.url)
    monkeypatch.setenv("OPABINIA_GS_PROFILE", "google")
    bucket.put("k", b"abc")
    copy_file(bucket.address("k"), f"gs://{bucket.name}/copy")
    assert bucket.get("copy") == b"abc"
    assert keys_used(bucket) == ["AKDEFAULT", "GOOGHMAC"]


def test_the_endpoint_of_all_services_serves_too(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3")
    monkeypatch.setenv("AWS_ENDPOINT_URL", bucket.proxy.url)
    bucket.put("k", b"abc")
    assert read_bytes(bucket.address("k")) == b"abc"


def test_renewed_credentials_are_taken_up(bucket: Bucket, profiles: Path) -> None:
    bucket.put("k", b"abc")
    bucket.proxy.inject(refuses(400, "ExpiredToken"))
    with pytest.raises(ValueError, match="the credentials have expired; renew them"):
        read_bytes(bucket.address("k"))
    profiles.write_text(PROFILES.replace("AKDEFAULT", "AKRENEWED"))
    assert read_bytes(bucket.address("k")) == b"abc"
    assert keys_used(bucket) == ["AKDEFAULT", "AKRENEWED"]


def test_missing_credentials_are_an_error(bucket: Bucket, profiles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    with pytest.raises(
        ValueError, match=r"^s3://\S+/k: no usable credentials \(Unable to locate .*; set AWS_ACCESS_KEY_ID"
    ):
        exists(bucket.address("k"))
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(ValueError, match=r"no usable credentials \(The config profile \(nobody\) could not be found\)"):
        exists(bucket.address("k"))


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (403, "SignatureDoesNotMatch", "the server does not accept the credentials; check AWS_ACCESS_KEY_ID"),
        (403, "InvalidAccessKeyId", "the server does not accept the credentials"),
        (403, "RequestTimeTooSkewed", "this machine's clock is wrong; set it"),
        (403, "SomethingElse", "access is denied"),
        (400, "AuthorizationHeaderMalformed", "the bucket lies in another region; set AWS_DEFAULT_REGION"),
        (418, "Teapot", r"the server refused: .*said the test; correct what it names"),
    ],
)
def test_what_the_server_refuses_is_said(bucket: Bucket, status: int, code: str, said: str) -> None:
    bucket.proxy.inject(refuses(status, code), times=9)
    with pytest.raises(ValueError, match=rf"^s3://\S+/k: {said}"):
        exists(bucket.address("k"))


def test_an_endpoint_that_is_not_there_is_an_error_soon(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    begun = time.monotonic()
    with pytest.raises(
        ValueError, match=r"s3://b/k: the server does not answer \(Could not connect .*AWS_ENDPOINT_URL$"
    ):
        exists("s3://b/k")
    assert time.monotonic() - begun < 10


def test_an_endpoint_that_speaks_something_else_is_an_error(bucket: Bucket) -> None:
    bucket.proxy.inject(lambda exchange: exchange.answer(200, [], b"<html>Log in to the wireless network"), times=9)
    with pytest.raises(ValueError, match="the server kept failing"):
        list_files(bucket.address("k"))
    with pytest.raises(ValueError, match="told no size, ETag or range"):
        read_bytes(bucket.address("k"))


def test_a_bucket_name_that_is_none_is_an_error(bucket: Bucket) -> None:
    with pytest.raises(ValueError, match=r"^s3://a b/k: not an address that S3 takes \(.*\); correct it$"):
        exists("s3://a b/k")


@pytest.mark.parametrize("name", ["OPABINIA_STORAGE_TIMEOUT", "AWS_MAX_ATTEMPTS"])
@pytest.mark.parametrize("value", ["soon", "0", "-1", "inf", "nan"])
def test_limits_must_be_positive_numbers(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=f"{name}: '{value}' is no positive number; set one or unset it"):
        exists(bucket.address("k"))


def test_boto3_is_imported_only_for_buckets() -> None:
    code = "import sys, opabinia.storage.folders; sys.exit('boto3' in sys.modules or 'botocore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
