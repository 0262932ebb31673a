"""The bucket of the storage room, for jobs that read from one or write to it."""

from __future__ import annotations

from tests.storage.conftest import bucket, direct_client, s3_server

__all__ = ["bucket", "direct_client", "s3_server"]
