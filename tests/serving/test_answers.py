"""Settings in, completions out: sampling limits, stop strings, usage and the event stream."""

from __future__ import annotations

import json
from typing import Any

import pytest

from opabinia.models.answering import Answer
from opabinia.serving.completion import Identity, cut_at_stop, new_identity, to_completion
from opabinia.serving.config import ServingConfig
from opabinia.serving.errors import ApiError
from opabinia.serving.parsing import parse_request
from opabinia.serving.sampling import Sampling, choose_sampling
from opabinia.serving.stream import to_events

CONFIG = ServingConfig(default_max_tokens=10, max_tokens=20, default_temperature=0.7)
ANSWER = Answer("a red circle\nand a blue one", prompt_tokens=7, completion_tokens=8, finish_reason="length")
IDENTITY = Identity("chatcmpl-1", 1_700_000_000, "m")


def sampling(**fields: Any) -> Sampling:
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}]} | fields
    return choose_sampling(parse_request(json.dumps(body).encode()), CONFIG)


def test_the_server_fills_what_the_request_leaves_open() -> None:
    assert sampling() == Sampling(max_new_tokens=10, temperature=0.7, top_p=1.0, seed=None)


def test_the_request_decides() -> None:
    expected = Sampling(max_new_tokens=20, temperature=1.5, top_p=0.9, seed=4)
    assert sampling(max_tokens=20, temperature=1.5, top_p=0.9, seed=4) == expected
    assert sampling(max_completion_tokens=20, temperature=1.5, top_p=0.9, seed=4) == expected


@pytest.mark.parametrize("greedy", [{"temperature": 0}, {"top_p": 0}, {"temperature": 0, "top_p": 0.3, "seed": 5}])
def test_greedy_requests_are_alike_so_that_they_share_a_batch(greedy: dict[str, Any]) -> None:
    assert sampling(**greedy) == Sampling(max_new_tokens=10, temperature=0.0, top_p=1.0, seed=None)


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_more_tokens_than_allowed_are_refused(name: str) -> None:
    with pytest.raises(ApiError, match=f"{name} is too large: 21. This server generates at most 20 tokens") as caught:
        sampling(**{name: 21})
    assert (caught.value.status, caught.value.param) == (400, name)


def test_a_default_above_the_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="default_max_tokens: 64 is above max_tokens"):
        ServingConfig(max_tokens=10)


def test_the_earliest_stop_string_ends_the_answer() -> None:
    assert cut_at_stop(ANSWER, ["blue", "circle", "green"]) == ("a red ", "stop")
    assert cut_at_stop(ANSWER, ["\n"]) == ("a red circle", "stop")
    assert cut_at_stop(ANSWER, ["green"]) == (ANSWER.text, "length")


def test_a_completion_carries_the_answer_and_counts_tokens() -> None:
    completion = to_completion(IDENTITY, ANSWER, []).model_dump()
    choice = completion["choices"][0]
    assert choice["message"] == {"role": "assistant", "content": ANSWER.text, "refusal": None}
    assert choice["finish_reason"] == "length"
    assert completion["usage"] == {"prompt_tokens": 7, "completion_tokens": 8, "total_tokens": 15}
    assert (completion["object"], completion["id"], completion["model"]) == ("chat.completion", "chatcmpl-1", "m")


def test_every_answer_has_a_name_of_its_own() -> None:
    assert new_identity("m").id != new_identity("m").id


def events(**kwargs: Any) -> list[dict[str, Any]]:
    lines = list(to_events(IDENTITY, ANSWER, ["blue"], **{"include_usage": False} | kwargs))
    assert all(line.startswith("data: ") and line.endswith("\n\n") for line in lines)
    assert lines[-1] == "data: [DONE]\n\n"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


def test_a_stream_gives_role_words_and_reason() -> None:
    deltas = [event["choices"][0]["delta"] for event in events()]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert "".join(delta["content"] for delta in deltas[1:-1]) == "a red circle\nand a "
    assert len(deltas) > 5
    assert deltas[-1] == {}
    assert [event["choices"][0]["finish_reason"] for event in events()][-2:] == [None, "stop"]
    assert all("usage" not in event for event in events())


def test_usage_comes_last_when_it_is_wanted() -> None:
    streamed = events(include_usage=True)
    assert streamed[-1]["choices"] == []
    assert streamed[-1]["usage"]["total_tokens"] == 15
    assert all(event["usage"] is None for event in streamed[:-1])
