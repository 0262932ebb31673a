"""A real HTTP server that speaks the OpenAI protocol, well or badly as a test wants, and counts what it is asked."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USAGE = {"prompt_tokens": 100, "completion_tokens": 10}


@dataclass(frozen=True)
class Reply:
    """What the server does: answers `text`, or `body` as it stands, after `stall_s`; or hangs up when `cut` is set."""

    text: str | None = ""
    status: int = 200
    ending: str = "stop"
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None
    stall_s: float = 0.0
    cut: bool = False


Behaviour = Callable[[str, int], Reply]
"""(the user's message, how often the same request came, from 1) -> what to do."""


class Endpoint:
    """requested, answered: the user's message -> how often it came, and how often an answer with status 200 left in full."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.requested = Counter[str]()
        self.answered = Counter[str]()
        self.times = list[float]()
        self.bodies = list[dict[str, Any]]()
        self.keys = set[str | None]()
        self.most_at_once = 0
        self._now = 0
        self._lock = threading.Lock()
        self.url = ""

    @contextmanager
    def one_more(self) -> Iterator[None]:
        with self._lock:
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        yield
        with self._lock:
            self._now -= 1

    def note(self, body: dict[str, Any], key: str | None) -> tuple[str, int]:
        user = body["messages"][-1]["content"]
        with self._lock:
            self.times.append(time.monotonic())
            self.bodies.append(body)
            self.keys.add(key)
            self.requested[user] += 1
            return user, self.requested[user]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    endpoint: Endpoint

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.endpoint.one_more(), suppress(ConnectionError):
            user, count = self.endpoint.note(body, self.headers.get("Authorization"))
            reply = self.endpoint.behaviour(user, count)
            time.sleep(reply.stall_s)
            self._send(reply, body)
            if reply.status == 200 and not reply.cut:
                self.endpoint.answered[user] += 1

    def _send(self, reply: Reply, body: dict[str, Any]) -> None:
        content = (reply.body if reply.body is not None else json.dumps(_completion(reply, body))).encode()
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if reply.cut else content)
        self.close_connection = reply.cut

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _completion(reply: Reply, body: dict[str, Any]) -> dict[str, Any]:
    if reply.status != 200:
        return {"error": {"message": reply.text, "type": "error"}}
    message = {"role": "assistant", "content": reply.text}
    return {
        "model": f"{body['model']}-2026",
        "choices": [{"index": 0, "message": message, "finish_reason": reply.ending}],
        "usage": USAGE,
    }


@contextmanager
def serving(behaviour: Behaviour) -> Iterator[Endpoint]:
    """A server on a free port of this machine; `.url` ends in /v1."""
    endpoint = Endpoint(behaviour)
    handler = type("Handler", (_Handler,), {"endpoint": endpoint})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    endpoint.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()


def pairs(count: int = 1, about: str = "it") -> str:
    """A sound answer with so many pairs."""
    return "\n".join(
        f"Question {n}: What is {about}, part {n}?\nAnswer {n}: Part {n} is {about}." for n in range(1, count + 1)
    )
