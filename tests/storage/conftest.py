"""A real S3 server over HTTP, and in front of it a proxy that can spoil answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.storage.faulty_s3 import FaultyS3

KEYS = {"aws_access_key_id": "AKTEST", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
_NUMBERS = count()


@dataclass
class Bucket:
    """A bucket of its own for a test; `client` talks to the server directly, past the proxy and past our code."""

    name: str
    proxy: FaultyS3
    client: Any

    def address(self, key: str) -> str:
        return f"s3://{self.name}/{key}"

    def put(self, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=content)

    def get(self, key: str) -> bytes:
        return self.client.get_object(Bucket=self.name, Key=key)["Body"].read()

    def list_keys(self) -> list[str]:
        return [entry["Key"] for entry in self.client.list_objects_v2(Bucket=self.name).get("Contents", [])]

    def unfinished(self) -> list[str]:
        return [upload["Key"] for upload in self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", [])]


@pytest.fixture(scope="session")
def s3_server() -> Iterator[FaultyS3]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    proxy = FaultyS3(f"http://{host}:{port}")
    proxy.start()
    yield proxy
    proxy.stop()
    server.stop()


@pytest.fixture(scope="session")
def direct_client(s3_server: FaultyS3) -> Any:
    return boto3.client("s3", endpoint_url=s3_server.server, **KEYS)


@pytest.fixture
def bucket(s3_server: FaultyS3, direct_client: Any, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A new bucket; the environment names the proxy as the endpoint."""
    settings = {
        "AWS_ACCESS_KEY_ID": "AKTEST",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_S3": s3_server.url,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_MAX_ATTEMPTS": "3",
        "OPABINIA_STORAGE_TIMEOUT": "10",
        "NO_PROXY": "127.0.0.1",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    made = Bucket(f"bucket-{next(_NUMBERS)}", s3_server, direct_client)
    made.client.create_bucket(Bucket=made.name)
    s3_server.clear()
    return made
