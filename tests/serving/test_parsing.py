"""A request is read strictly, and an error says which field is wrong and how."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opabinia.serving.errors import ApiError
from opabinia.serving.parsing import parse_request
from opabinia.serving.schema import ChatRequest
from tests.serving.pictures import asking

MESSAGES = [{"role": "user", "content": "how many shapes?"}]


def parse(**fields: Any) -> ChatRequest:
    return parse_request(json.dumps({"model": "m", "messages": MESSAGES} | fields).encode())


def refusal(**fields: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        parse(**fields)
    assert caught.value.status == 400
    assert caught.value.kind == "invalid_request_error"
    return caught.value


def test_plain_text_and_parts_mean_the_same() -> None:
    assert parse().messages == parse(messages=asking("how many shapes?")).messages


def test_everything_that_is_honoured_is_read() -> None:
    request = parse(max_tokens=5, temperature=1, top_p=0.5, seed=-3, stop="end", stream=True)
    assert (request.max_tokens, request.temperature, request.top_p, request.seed) == (5, 1.0, 0.5, -3)
    assert (request.stop, request.stream) == (["end"], True)


def test_null_means_not_set() -> None:
    fields = ("max_tokens", "max_completion_tokens", "temperature", "top_p", "seed", "stop", "stream", "stream_options")
    assert parse(**dict.fromkeys(fields)) == parse()


def test_an_answer_can_be_sent_back_as_clients_received_it() -> None:
    answer = {"role": "assistant", "content": "three", "refusal": None, "annotations": None, "tool_calls": None}
    assert parse(messages=[*MESSAGES, answer, *MESSAGES]).messages[1].role == "assistant"


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 1},
        {"tools": []},
        {"tool_choice": "none"},
        {"logprobs": False},
        {"frequency_penalty": 0.0},
        {"user": "me"},
        {"response_format": {"type": "text"}},
        {"logit_bias": {}},
        {"metadata": {"a": "b"}},
        {"n": None},
        {"store": False},
    ],
)
def test_parameters_that_ask_for_nothing_are_accepted(fields: dict[str, Any]) -> None:
    assert parse(**fields) == parse()


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 2},
        {"n": True},
        {"tools": [{"type": "function"}]},
        {"logprobs": True},
        {"logprobs": 0},
        {"logit_bias": {"5": 1}},
        {"response_format": {"type": "json_object"}},
        {"presence_penalty": 0.1},
        {"audio": {}},
        {"reasoning_effort": "high"},
    ],
)
def test_parameters_that_cannot_be_honoured_are_refused_by_name(fields: dict[str, Any]) -> None:
    (name,) = fields
    error = refusal(**fields)
    assert (error.param, error.code) == (name, "unsupported_parameter")
    assert f"'{name}'" in error.message


def test_an_unknown_parameter_names_the_nearest_known_one() -> None:
    error = refusal(max_token=5)
    assert error.code == "unknown_parameter"
    assert error.message == "Unknown parameter: 'max_token'; did you mean 'max_tokens'?"


@pytest.mark.parametrize(
    ("fields", "param", "part"),
    [
        ({"model": None}, "model", "valid string, got null"),
        ({"messages": []}, "messages", "at least 1 item"),
        ({"messages": "hello"}, "messages", "valid list, got a string"),
        ({"messages": ["hello"]}, "messages[0]", "got a string"),
        ({"messages": [{"content": "x"}]}, "messages[0].role", "Missing required parameter: 'messages[0].role'"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role", "Invalid value: 'tool'"),
        ({"messages": [{"role": "user"}]}, "messages[0].content", "Missing required parameter"),
        (
            {"messages": [{"role": "user", "content": 5}]},
            "messages[0].content",
            "a string or an array of content parts",
        ),
        ({"messages": [{"role": "user", "content": "x", "mood": 1}]}, "messages[0].mood", "Unknown parameter"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": 5}]}]},
            "messages[0].content[0].text",
            "got 5",
        ),
        ({"messages": [{"role": "user", "content": [{"type": "video"}]}]}, "messages[0].content[0].type", "'video'"),
        ({"temperature": 2.5}, "temperature", "less than or equal to 2, got 2.5"),
        ({"temperature": "hot"}, "temperature", "valid number, got a string"),
        ({"temperature": True}, "temperature", "got a boolean"),
        ({"top_p": -0.1}, "top_p", "greater than or equal to 0, got -0.1"),
        ({"max_tokens": 0}, "max_tokens", "greater than or equal to 1, got 0"),
        ({"max_tokens": 1.5}, "max_tokens", "got 1.5"),
        ({"seed": 2**63}, "seed", "less than"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop", "at most 4 items"),
        ({"stop": [""]}, "stop[0]", "at least 1 character"),
        ({"stop": 7}, "stop", "a string or an array of strings"),
        ({"stream": "yes"}, "stream", "valid boolean, got a string"),
        ({"stream_options": {"include_usage": True}}, "stream_options", "only allowed when 'stream' is true"),
        ({"max_tokens": 5, "max_completion_tokens": 5}, "max_tokens", "at the same time"),
    ],
)
def test_an_error_names_the_field_and_what_is_wrong(fields: dict[str, Any], param: str, part: str) -> None:
    error = refusal(**fields)
    assert error.param == param
    assert part in error.message


def test_an_image_part_without_its_address_is_named() -> None:
    def content(part: dict[str, Any]) -> dict[str, Any]:
        return {
            "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "image_url"} | part]}]
        }

    assert refusal(**content({})).param == "messages[0].content[1].image_url"
    assert refusal(**content({"image_url": {}})).param == "messages[0].content[1].image_url.url"
    assert refusal(**content({"image_url": "data:,"})).param == "messages[0].content[1].image_url"
    assert refusal(**content({"image_url": {"url": None}})).param == "messages[0].content[1].image_url.url"


@pytest.mark.parametrize("body", [b"", b"{", b"{'model': 1}", b"\xff\xfe", b'{"seed": NaN}', b"[" * 100_000])
def test_a_body_that_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(ApiError, match="could not parse the JSON body") as caught:
        parse_request(body)
    assert (caught.value.status, caught.value.code) == (400, "invalid_json")


@pytest.mark.parametrize("body", [b"[]", b"5", b"null", b'"text"'])
def test_json_that_is_not_an_object_is_refused(body: bytes) -> None:
    with pytest.raises(ApiError, match="must be a JSON object"):
        parse_request(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    name=st.sampled_from([*sorted(ChatRequest.model_fields), "n", "tools", "logit_bias", "metadata"]),
    value=JSON
    | st.lists(st.fixed_dictionaries({"role": st.sampled_from(["user", "system"]), "content": JSON}), max_size=2),
)
def test_any_json_in_any_field_is_read_or_refused(name: str, value: object) -> None:
    try:
        assert parse(**{name: value}).model
    except ApiError as error:
        assert error.status == 400
        assert error.param is not None
        assert error.param.startswith(name)
