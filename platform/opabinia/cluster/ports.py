"""Finding out whether a port is free, and who holds it where it is not."""

from __future__ import annotations

import socket

import psutil

LOOPBACK = "127.0.0.1"


def is_free(port: int) -> bool:
    """Tell whether a server could listen on a loopback port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Without it, connections that a stopped server left behind would make its port look taken for a minute.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def holder(port: int) -> str | None:
    """Describe the process that listens on a port, or None where this user may not see it."""
    for connection in psutil.net_connections(kind="tcp"):
        is_listener = connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port
        if is_listener and connection.pid is not None:
            try:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
            except psutil.NoSuchProcess:
                return None
    return None
