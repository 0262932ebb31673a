"""A job finds its Ray, or is told at once why it cannot."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from ray._common.utils import get_default_ray_temp_dir
from ray._private.utils import write_ray_address

from opabinia.cluster.joining import join_ray


def test_a_remembered_cluster_that_is_dead_is_named_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Ray keeps the address of this machine's cluster below its temporary folder.
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS")
    Path(get_default_ray_temp_dir()).mkdir()
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{held.getsockname()[1]}"
        write_ray_address(address)
        with pytest.raises(
            ValueError, match=rf"^ray: the cluster that this machine remembers, {address}, does not answer"
        ):
            join_ray()
    assert "RAY_ADDRESS" not in os.environ
