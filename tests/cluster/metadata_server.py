"""A stand-in for the metadata server of a Google Cloud machine: two entries, hanging requests, and faults on demand."""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread
from urllib.parse import parse_qs, urlsplit

_ROOT = "/computeMetadata/v1/instance/"


class MetadataServer(ThreadingHTTPServer):
    """Answers as Google documents: the header is asked for and given back, and a request waits for a new version."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.entries = {"preempted": ("FALSE", 1), "maintenance-event": ("NONE", 1)}
        self.changed = Condition()
        self.faults: list[str] = []
        self.asked: list[str] = []

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    def put(self, entry: str, value: str) -> None:
        with self.changed:
            self.entries[entry] = (value, self.entries[entry][1] + 1)
            self.changed.notify_all()

    def fail(self, *faults: str) -> None:
        """Spoil the next answers: "503", "reset", "stranger" (a server of somebody else's), "versionless", "silence"."""
        with self.changed:
            self.faults += faults
            self.changed.notify_all()

    def entry_after(self, entry: str, version: str, seconds: float) -> tuple[str, int]:
        with self.changed:
            self.changed.wait_for(lambda: self.faults or str(self.entries[entry][1]) != version, seconds)
            return self.entries[entry]

    def handle_error(self, request: object, client_address: object) -> None:
        # A client that has gone away meanwhile, as a killed one does.
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # pyright: ignore[reportArgumentType]

    def next_fault(self) -> str:
        with self.changed:
            return self.faults.pop(0) if self.faults else ""


class _Answer(BaseHTTPRequestHandler):
    server: MetadataServer

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        entry, query = url.path.removeprefix(_ROOT), parse_qs(url.query)
        self.server.asked.append(entry)
        if self.headers.get("Metadata-Flavor") != "Google":
            return self._say(403, "missing Metadata-Flavor")
        value, version = self.server.entries[entry]
        if query.get("wait_for_change") == ["true"]:
            value, version = self.server.entry_after(entry, query["last_etag"][0], float(query["timeout_sec"][0]))
        match self.server.next_fault():
            case "503":
                self._say(503, "try again", flavor="Google")
            case "reset":
                # Closing with a linger time of zero sends a reset instead of an end.
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
            case "stranger":
                self._say(200, "TRUE", version="1")
            case "versionless":
                self._say(200, "TRUE", flavor="Google")
            case "silence":
                self.connection.recv(1)
            case _:
                self._say(200, value, flavor="Google", version=f"{version}")

    def _say(self, status: int, text: str, *, flavor: str = "", version: str = "") -> None:
        self.send_response(status)
        for name, content in (("Metadata-Flavor", flavor), ("ETag", version), ("Content-Length", f"{len(text)}")):
            if content:
                self.send_header(name, content)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


@contextmanager
def metadata_server() -> Iterator[MetadataServer]:
    """A running server, gone at the end."""
    with MetadataServer() as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()
