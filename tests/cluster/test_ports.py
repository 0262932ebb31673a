"""Seeing that a port is taken, and by whom."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from opabinia.cluster.ports import holder, is_free


@pytest.fixture(params=["127.0.0.1", "0.0.0.0"])
def taken(request: pytest.FixtureRequest) -> Iterator[int]:
    with socket.socket() as server:
        server.bind((request.param, 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_port_with_a_listener_is_taken_and_its_holder_is_named(taken: int) -> None:
    assert not is_free(taken)
    assert f"(pid {os.getpid()})" in (holder(taken) or "")


def test_a_port_is_free_again_while_its_listeners_last_connection_lingers() -> None:
    with socket.socket() as server:
        # As every web server does.
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            server.accept()[0].close()
    assert is_free(port)
    assert holder(port) is None
