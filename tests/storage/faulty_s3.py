"""A proxy in front of a real S3 server that spoils chosen answers on their way, as networks and servers do."""

from __future__ import annotations

import http.client
import os
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

HOP_HEADERS = {"connection", "transfer-encoding", "content-length", "expect"}


@dataclass
class Exchange:
    """One request, its header names in small letters, and the means to answer it."""

    handler: BaseHTTPRequestHandler
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    server: str

    def forward(self) -> tuple[int, list[tuple[str, str]], bytes]:
        """What the real server answers: status, headers, body."""
        connection = http.client.HTTPConnection(urlsplit(self.server).netloc, timeout=30)
        headers = {name: value for name, value in self.headers.items() if name not in HOP_HEADERS}
        connection.request(self.method, self.path, body=self.body or None, headers=headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, [pair for pair in answer.getheaders() if pair[0].lower() not in HOP_HEADERS], content

    def answer(self, status: int, headers: list[tuple[str, str]], body: bytes, length: int | None = None) -> None:
        """Announce `length` bytes (all of the body when None) and send the body."""
        self.handler.send_response_only(status)
        for name, value in headers:
            self.handler.send_header(name, value)
        if status not in (204, 304):
            self.handler.send_header("Content-Length", str(len(body) if length is None else length))
        self.handler.end_headers()
        self.handler.wfile.write(body)
        self.handler.wfile.flush()

    def hang_up(self) -> None:
        self.handler.close_connection = True

    def reset(self) -> None:
        """Close the connection so that the other side sees ECONNRESET."""
        self.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.handler.connection.detach())
        self.hang_up()


Fault = Callable[[Exchange], None]
Condition = Callable[[Exchange], bool]


@dataclass
class FaultyS3:
    """The running proxy. `faults` are tried in order; one that applies is used up after `times`."""

    server: str
    url: str = ""
    seen: list[Exchange] = field(default_factory=list)
    _faults: list[list[object]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _http: ThreadingHTTPServer | None = None

    def start(self) -> None:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except (ConnectionError, TimeoutError):
                    self.close_connection = True

            def do_GET(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = self.rfile.read(int(headers.get("content-length", 0)))
                proxy.handle(Exchange(self, self.command, self.path, headers, body, proxy.server))

            do_PUT = do_POST = do_DELETE = do_HEAD = do_GET

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        assert self._http is not None
        self._http.shutdown()
        self._http.server_close()

    def inject(self, fault: Fault, when: Condition = lambda exchange: True, times: int = 1) -> None:
        """Spoil the next `times` exchanges for which `when` holds."""
        with self._lock:
            self._faults.append([fault, when, times])

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()
            self.seen.clear()

    def handle(self, exchange: Exchange) -> None:
        with self._lock:
            self.seen.append(exchange)
            fault = self._next_fault(exchange)
        if fault is None:
            exchange.answer(*exchange.forward())
        else:
            fault(exchange)

    def _next_fault(self, exchange: Exchange) -> Fault | None:
        for entry in self._faults:
            fault, when, times = entry
            if times and when(exchange):  # type: ignore[operator]
                entry[2] = times - 1  # type: ignore[operator]
                return fault  # type: ignore[return-value]
        return None

    def ranges(self) -> list[str]:
        """The Range headers of the requests so far."""
        return [exchange.headers["range"] for exchange in self.seen if "range" in exchange.headers]


def refuses(status: int, code: str) -> Fault:
    """An answer of S3's that says no."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>said the test</Message></Error>".encode()
    return lambda exchange: exchange.answer(status, [("Content-Type", "application/xml")], body)


def breaks_off(after: int) -> Fault:
    """The connection is closed in good order in the middle of the body."""

    def fault(exchange: Exchange) -> None:
        status, headers, body = exchange.forward()
        exchange.answer(status, headers, body[:after], length=len(body))
        exchange.hang_up()

    return fault


def resets(after: int) -> Fault:
    """The connection is reset in the middle of the body."""

    def fault(exchange: Exchange) -> None:
        status, headers, body = exchange.forward()
        exchange.answer(status, headers, body[:after], length=len(body))
        time.sleep(0.05)
        exchange.reset()

    return fault


def stalls(after: int, seconds: float) -> Fault:
    """The body goes silent in the middle, and the connection stays open."""

    def fault(exchange: Exchange) -> None:
        status, headers, body = exchange.forward()
        exchange.answer(status, headers, body[:after], length=len(body))
        time.sleep(seconds)
        exchange.hang_up()

    return fault


def trickles(piece: int, pause: float) -> Fault:
    """The body comes slowly but whole."""

    def fault(exchange: Exchange) -> None:
        status, headers, body = exchange.forward()
        exchange.answer(status, headers, body[:piece], length=len(body))
        for start in range(piece, len(body), piece):
            time.sleep(pause)
            exchange.handler.wfile.write(body[start : start + piece])

    return fault


def loses_answer(exchange: Exchange) -> None:
    """The request takes effect, but nobody hears of it."""
    exchange.forward()
    exchange.reset()


def cuts(exchange: Exchange) -> None:
    """The connection is reset before the request takes effect."""
    exchange.reset()


def ignores_range(exchange: Exchange) -> None:
    """The answer is the whole object, as from servers that do not know ranges."""
    del exchange.headers["range"]
    exchange.answer(*exchange.forward())


def ignores_conditions(exchange: Exchange) -> None:
    """The answer is that to a request without If-Match, as from servers that do not know it."""
    del exchange.headers["if-match"]
    exchange.answer(*exchange.forward())


def shortens(by: int) -> Fault:
    """Announces fewer bytes than the object has, and sends those."""

    def fault(exchange: Exchange) -> None:
        status, headers, body = exchange.forward()
        exchange.answer(status, headers, body[: len(body) - by])

    return fault


def first(action: Callable[[], object]) -> Fault:
    """Something happens to the object before the request reaches the server."""

    def fault(exchange: Exchange) -> None:
        action()
        exchange.answer(*exchange.forward())

    return fault


def is_get(exchange: Exchange) -> bool:
    return exchange.method == "GET"


def is_part(number: int) -> Condition:
    """Whether part `number` of a multipart upload is sent."""
    return lambda exchange: exchange.method == "PUT" and f"partNumber={number}" in exchange.path


def is_completion(exchange: Exchange) -> bool:
    return exchange.method == "POST" and "uploadId=" in exchange.path


def is_abort(exchange: Exchange) -> bool:
    return exchange.method == "DELETE" and "uploadId=" in exchange.path
