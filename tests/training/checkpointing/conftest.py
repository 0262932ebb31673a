"""The bucket of the storage room, for checkpoints in one."""

from __future__ import annotations

from tests.storage.conftest import bucket, direct_client, s3_server

__all__ = ["bucket", "direct_client", "s3_server"]
