"""What jobs write to: the bucket of the storage room, and an MLflow server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.mlflow_server import MlflowServer
from tests.storage.conftest import bucket, direct_client, s3_server

__all__ = ["bucket", "direct_client", "s3_server"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    running = MlflowServer(tmp_path_factory.mktemp("mlflow"))
    try:
        running.start()
        yield running
    finally:
        running.stop()
