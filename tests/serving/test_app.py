"""Every address answers as OpenAI's does, errors included; Ray takes no part in this."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi.testclient import TestClient

from opabinia.models.answering import Answer, Prompt
from opabinia.serving import errors
from opabinia.serving.app import build_app, key_digest
from opabinia.serving.config import ServingConfig
from opabinia.serving.sampling import Sampling
from tests.serving.pictures import asking, data_uri, picture_bytes
from tests.serving.stand_in import StandIn

CONFIG = ServingConfig(max_image_bytes=30_000)


@dataclass
class InProcess:
    """A backend without Ray."""

    models: Sequence[str] = ("champion", "team/b")
    healthy: bool = True

    async def answer(self, model: str, prompt: Prompt, sampling: Sampling) -> Answer:
        if prompt.turns[-1].text == "overload":
            raise errors.overloaded()
        return StandIn(model).answer([prompt], max_new_tokens=sampling.max_new_tokens)[0]

    async def is_healthy(self) -> bool:
        return self.healthy


@pytest.fixture
def client() -> Iterator[TestClient]:
    with TestClient(build_app(CONFIG, InProcess()), raise_server_exceptions=False) as client:
        yield client


def ask(client: TestClient, content: object = "hello", **fields: Any) -> Any:
    body = {"model": "champion", "messages": [{"role": "user", "content": content}]} | fields
    return client.post("/v1/chat/completions", json=body)


def test_a_picture_reaches_the_model(client: TestClient) -> None:
    response = ask(client, messages=asking("what is it?", data_uri(picture_bytes())))
    assert response.status_code == 200
    answer = response.json()["choices"][0]["message"]["content"]
    assert answer == "champion saw 40x30 #c81e1e: what is it?, turns=1, batch=1"


def test_max_tokens_is_honoured(client: TestClient) -> None:
    choice = ask(client, max_completion_tokens=2).json()["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("champion saw", "length")


def test_models_are_listed_and_found_by_name(client: TestClient) -> None:
    listed = client.get("/v1/models").json()
    assert [card["id"] for card in listed["data"]] == ["champion", "team/b"]
    assert client.get("/v1/models/team/b").json() == listed["data"][1]
    assert client.get("/v1/models/team%2Fb").json() == listed["data"][1]


def test_health_says_whether_the_models_answer() -> None:
    for healthy, status in ((True, 200), (False, 503)):
        response = TestClient(build_app(CONFIG, InProcess(healthy=healthy))).get("/health")
        assert response.status_code == status
        assert response.json()["models"] == ["champion", "team/b"]


def assert_error(response: Any, status: int, code: str) -> None:
    assert response.status_code == status
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert body["error"]["code"] == code
    assert "Traceback" not in response.text


def test_an_unknown_model_is_not_found(client: TestClient) -> None:
    response = ask(client, model="champoin")
    assert_error(response, 404, "model_not_found")
    assert "did you mean 'champion'?" in response.json()["error"]["message"]
    assert_error(client.get("/v1/models/other"), 404, "model_not_found")


def test_unknown_addresses_and_methods(client: TestClient) -> None:
    assert_error(client.get("/v1/nothing"), 404, "unknown_url")
    assert_error(client.get("/docs"), 404, "unknown_url")
    assert_error(client.get("/v1/chat/completions"), 405, "method_not_supported")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_only_json_is_read(client: TestClient, content_type: str) -> None:
    response = client.post("/v1/chat/completions", content=b"{}", headers={"Content-Type": content_type})
    assert_error(response, 415, "unsupported_content_type")


def test_malformed_requests(client: TestClient) -> None:
    broken = client.post("/v1/chat/completions", content=b"{", headers={"Content-Type": "application/json"})
    assert_error(broken, 400, "invalid_json")
    assert_error(ask(client, messages=[]), 400, "invalid_value")
    assert_error(ask(client, messages=asking("x", "data:image/png;base64,AAAA")), 400, "invalid_image_format")


def test_a_request_may_be_as_large_as_the_largest_image_in_it_and_no_larger(client: TestClient) -> None:
    data = picture_bytes()
    largest = data_uri(data + bytes(CONFIG.max_image_bytes - len(data)))
    assert ask(client, messages=asking("x", largest)).status_code == 200
    assert_error(ask(client, "x" * CONFIG.max_request_bytes), 413, "request_too_large")
    assert_error(ask(client, "x" * (5 * CONFIG.max_request_bytes)), 413, "request_too_large")


def test_an_overloaded_model_asks_clients_to_come_back(client: TestClient) -> None:
    response = ask(client, "overload")
    assert_error(response, 503, "overloaded")
    assert response.headers["retry-after"] == "1"


def test_a_failure_tells_the_client_nothing_about_the_inside(client: TestClient) -> None:
    response = ask(client, "please crash")
    assert_error(response, 500, "internal_error")
    assert "melted" not in response.text


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Basic right", "right", "Bearer "])
def test_a_key_is_asked_for_where_one_is_set(header: str | None) -> None:
    client = TestClient(build_app(CONFIG, InProcess(), key_digest("right")))
    headers = {} if header is None else {"Authorization": header}
    for response in (client.get("/v1/models", headers=headers), client.get("/v1/models/x", headers=headers)):
        assert_error(response, 401, "invalid_api_key")
    assert_error(client.post("/v1/chat/completions", headers=headers, content=b"{"), 401, "invalid_api_key")


def test_the_right_key_opens_and_health_needs_none() -> None:
    client = TestClient(build_app(CONFIG, InProcess(), key_digest("right")))
    assert client.get("/v1/models", headers={"Authorization": "Bearer right"}).status_code == 200
    assert client.get("/health").status_code == 200


def test_a_stream_is_a_stream_of_events(client: TestClient) -> None:
    response = ask(client, stream=True)
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.text.endswith("data: [DONE]\n\n")
    assert_error(ask(client, "overload", stream=True), 503, "overloaded")
