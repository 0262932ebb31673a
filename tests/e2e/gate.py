"""A port that forwards to another one and can be closed for a while, as a server that is away."""

from __future__ import annotations

import select
import socket
import socketserver
import threading
from dataclasses import dataclass, field

from tests.e2e.mlflow_server import free_port


class _Forwarder(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    target: int
    connections: list[socket.socket]


class _Connection(socketserver.BaseRequestHandler):
    server: _Forwarder

    def handle(self) -> None:
        with socket.create_connection(("127.0.0.1", self.server.target)) as behind:
            self.server.connections += [self.request, behind]
            ends = {self.request: behind, behind: self.request}
            while True:
                for end in select.select(list(ends), [], [])[0]:
                    try:
                        data = end.recv(65536)
                        ends[end].sendall(data)
                    except OSError:
                        return
                    if not data:
                        return


@dataclass
class Gate:
    """Listens on `port` of the loopback while open; closing it breaks the connections that it carries."""

    target: int
    port: int = field(default_factory=free_port)
    _forwarder: _Forwarder | None = None

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def open(self) -> None:
        self._forwarder = _Forwarder(("127.0.0.1", self.port), _Connection)
        self._forwarder.target, self._forwarder.connections = self.target, []
        threading.Thread(target=self._forwarder.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        if self._forwarder is None:
            return
        self._forwarder.shutdown()
        self._forwarder.server_close()
        for connection in self._forwarder.connections:
            if connection.fileno() >= 0:
                connection.shutdown(socket.SHUT_RDWR)
        self._forwarder = None
