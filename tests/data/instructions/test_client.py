"""One request against a server that fails, stalls, hangs up and answers badly."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from opabinia.data.instructions.client import Answer, chat_client, check_reachable
from opabinia.data.instructions.sending import Refused, Unanswered, Unusable
from opabinia.data.instructions.settings import EndpointConfig
from tests.data.instructions.endpoint import Behaviour, Endpoint, Reply, serving
from tests.data.instructions.specimens import settings

GOOD = Reply("fine")
KEY = "sk-very-secret-0123456789"


async def ask_many(endpoint: EndpointConfig, url: str, folder: Path, users: list[str], **changes: Any) -> list[Answer]:
    given = settings(url, folder, **changes)
    async with chat_client(endpoint, given.patience, 8) as client:
        bodies = [{"model": "writer", "messages": [{"role": "user", "content": user}]} for user in users]
        return await asyncio.gather(*(client.ask(body) for body in bodies))


def ask(
    server: Endpoint, folder: Path, *users: str, timeout_s: float = 5.0, key: str | None = None, **changes: Any
) -> list[Answer]:
    endpoint = EndpointConfig(base_url=server.url, model="writer", timeout_s=timeout_s, api_key_env=key)
    return asyncio.run(ask_many(endpoint, server.url, folder, list(users or ("hello",)), **changes))


def then_good(*first: Reply) -> Behaviour:
    return lambda user, count: first[count - 1] if count <= len(first) else GOOD


def test_an_answer_is_read_with_its_model_its_host_and_its_tokens(tmp_path: Path) -> None:
    with serving(then_good()) as server:
        (answer,) = ask(server, tmp_path)
    assert answer == Answer("fine", "stop", "writer-2026", server.url.split("/")[2], 100, 10)


@pytest.mark.parametrize(
    "trouble",
    [Reply("x", status=500), Reply("x", status=503), Reply("x", status=429), Reply(body="<html>busy</html>"), Reply(body="{}"),
     Reply(body='{"choices": []}'), Reply(body="[1]"), Reply("fine", cut=True)],
    ids=["500", "503", "429", "HTML", "empty object", "no choices", "list", "hangs up"],
)  # fmt: skip
def test_trouble_passes_and_the_request_is_sent_again(tmp_path: Path, trouble: Reply) -> None:
    with serving(then_good(trouble, trouble)) as server:
        assert ask(server, tmp_path)[0].text == "fine"
    assert server.requested["hello"] == 3


def test_a_server_that_stalls_is_asked_again(tmp_path: Path) -> None:
    with serving(then_good(Reply("late", stall_s=1.5))) as server:
        assert ask(server, tmp_path, timeout_s=0.3)[0].text == "fine"


def test_retry_after_holds_for_all_requests(tmp_path: Path) -> None:
    busy = Reply("busy", status=429, headers={"Retry-After": "1"})
    with serving(lambda user, count: busy if user == "first" and count == 1 else Reply("fine", stall_s=0.1)) as server:

        async def two() -> None:
            given = settings(server.url, tmp_path)
            async with chat_client(given.endpoint, given.patience, 8) as client:
                first = asyncio.create_task(client.ask({"model": "writer", "messages": [{"content": "first"}]}))
                await asyncio.sleep(0.4)
                await client.ask({"model": "writer", "messages": [{"content": "second"}]})
                await first

        asyncio.run(two())
    began, *later = server.times
    assert len(later) == 2
    assert all(moment - began >= 0.95 for moment in later)


def test_a_server_that_asks_for_too_long_is_given_up_at_once(tmp_path: Path) -> None:
    busy = Reply("busy", status=429, headers={"Retry-After": "3600"})
    with (
        serving(lambda user, count: busy) as server,
        pytest.raises(Unanswered, match="HTTP 429: busy, and asks to wait 3600 s"),
    ):
        ask(server, tmp_path)
    assert server.requested["hello"] == 1


def test_trouble_that_stays_is_given_up_after_the_tries(tmp_path: Path) -> None:
    on_fire = Reply("on fire", status=500)
    with (
        serving(lambda user, count: on_fire) as server,
        pytest.raises(Unanswered, match=r"HTTP 500: on fire \(4 times\)"),
    ):
        ask(server, tmp_path)
    assert server.requested["hello"] == 4


@pytest.mark.parametrize(
    ("status", "kind"), [(400, Refused), (422, Refused), (401, Unusable), (403, Unusable), (404, Unusable)]
)
def test_what_will_not_pass_is_not_repeated(tmp_path: Path, status: int, kind: type[Exception]) -> None:
    with (
        serving(lambda user, count: Reply("no", status=status)) as server,
        pytest.raises(kind, match=f"HTTP {status}: no"),
    ):
        ask(server, tmp_path)
    assert server.requested["hello"] == 1


def test_no_credit_left_is_no_reason_to_wait(tmp_path: Path) -> None:
    body = '{"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}'
    with (
        serving(lambda user, count: Reply(status=429, body=body)) as server,
        pytest.raises(Unusable, match="exceeded your quota"),
    ):
        ask(server, tmp_path)
    assert server.requested["hello"] == 1


def test_nobody_there_is_unanswered(tmp_path: Path) -> None:
    with serving(then_good()) as server:
        pass
    with pytest.raises(Unanswered, match="4 times"):
        ask(server, tmp_path)


def test_an_endpoint_counts_as_reachable_when_it_says_anything_at_all() -> None:
    with serving(then_good()) as server:
        endpoint = EndpointConfig(base_url=server.url, model="writer")
        # This server knows POST alone, and answers 501.
        check_reachable(endpoint)
    with pytest.raises(ValueError, match=rf"endpoint\.base_url: nobody answers at {server.url} .*; start the server"):
        check_reachable(endpoint)


def test_the_key_comes_from_the_environment_and_is_repeated_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WRITER_KEY", KEY)
    caplog.set_level("DEBUG")
    with serving(lambda user, count: Reply(f"you sent {KEY}", status=200 if user == "hello" else 400)) as server:
        assert ask(server, tmp_path, key="WRITER_KEY")[0].text == "you sent ***"
        with pytest.raises(Refused, match=r"you sent \*\*\*") as caught:
            ask(server, tmp_path, "bad", key="WRITER_KEY")
    assert server.keys == {f"Bearer {KEY}"}
    assert KEY not in caplog.text + repr(caught.value)


def test_a_key_that_is_not_there_is_said_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WRITER_KEY", raising=False)
    with (
        serving(then_good()) as server,
        pytest.raises(ValueError, match="api_key_env: environment variable WRITER_KEY is not set"),
    ):
        ask(server, tmp_path, key="WRITER_KEY")
    assert not server.requested


@pytest.mark.parametrize(
    "url", ["https://user:pass@host/v1", "https://host/v1?key=abc", "host:8000/v1", "ftp://host/v1"]
)
def test_an_address_that_is_none_or_holds_a_secret_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="base_url"):
        EndpointConfig(base_url=url, model="writer")


def test_odd_answers_are_read_too(tmp_path: Path) -> None:
    parts = '{"choices": [{"message": {"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}}]}'
    refusal = '{"choices": [{"message": {"content": null, "refusal": "No."}, "finish_reason": "stop"}]}'
    torn = '{"choices": [{"message": {"content": "half \\ud83d"}}]}'
    bodies = {"parts": parts, "refusal": refusal, "torn": torn}
    with serving(lambda user, count: Reply(body=bodies[user])) as server:
        answers = ask(server, tmp_path, *bodies)
    assert [(answer.text, answer.ending) for answer in answers] == [
        ("ab", "stop"),
        ("No.", "content_filter"),
        ("half ?", "stop"),
    ]
    assert {(answer.model, answer.prompt_tokens) for answer in answers} == {("writer", None)}
