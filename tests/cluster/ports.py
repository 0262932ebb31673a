"""Ports for services under test."""

from __future__ import annotations

import socket

from opabinia.cluster.config import PORT_VARIABLES


def free_ports() -> dict[str, str]:
    """Return a free port for each of the environment variables that choose one."""
    servers = [socket.socket() for _ in PORT_VARIABLES]
    for server in servers:
        server.bind(("127.0.0.1", 0))
    ports = {name: f"{server.getsockname()[1]}" for name, server in zip(PORT_VARIABLES.values(), servers, strict=True)}
    for server in servers:
        server.close()
    return ports
