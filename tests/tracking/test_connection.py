from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from opabinia.tracking.connection import ServerAwayError, call, wait_for_server


class Health(BaseHTTPRequestHandler):
    """Answers each request with the next status of the list; the last one repeats."""

    statuses: list[int] = []  # noqa: RUF012

    def do_GET(self) -> None:
        assert self.path == "/health" or self.path.startswith("/api/")
        self.send_response(self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0])
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    listening = HTTPServer(("127.0.0.1", 0), Health)
    thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{listening.server_port}"
    listening.shutdown()
    thread.join()
    listening.server_close()


def test_a_server_that_comes_back_is_waited_for(server: str) -> None:
    Health.statuses = [503, 502, 200]
    wait_for_server(server, patience_s=5)
    assert Health.statuses == [200]


def test_a_server_that_refuses_is_there(server: str) -> None:
    Health.statuses = [401]
    wait_for_server(server, patience_s=0)


@pytest.mark.parametrize("status", [401, 403])
def test_a_server_that_asks_who_we_are_is_one_line_that_says_how_to_tell(server: str, status: int) -> None:
    Health.statuses = [200, status]
    with pytest.raises(
        ValueError, match=rf"tracking\.uri: the server at {server} does not let us in; set MLFLOW_"
    ) as no:
        call(server, lambda client: client.get_experiment_by_name("sweep"))
    assert "\n" not in str(no.value)


def test_a_server_that_stays_away_is_one_line_that_says_where_and_what_to_do(server: str) -> None:
    Health.statuses = [503]
    started = time.monotonic()
    with pytest.raises(
        ServerAwayError, match=rf"tracking\.uri: no MLflow server answers at {server}; start it with"
    ) as away:
        wait_for_server(server, patience_s=0.5)
    assert time.monotonic() - started < 2
    assert "\n" not in str(away.value)


def test_an_address_where_nothing_listens_is_away_at_once() -> None:
    with pytest.raises(ServerAwayError):
        wait_for_server("http://127.0.0.1:9", patience_s=0)


def test_a_store_without_a_server_needs_no_waiting() -> None:
    wait_for_server("sqlite:///nowhere.db", patience_s=0)
