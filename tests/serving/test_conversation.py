"""OpenAI's messages become the turns that models were trained on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from opabinia.models.answering import Prompt
from opabinia.serving.config import ServingConfig
from opabinia.serving.conversation import to_prompt
from opabinia.serving.errors import ApiError
from opabinia.serving.parsing import parse_request
from tests.serving.pictures import asking, data_uri, picture_bytes

URI = data_uri(picture_bytes())


def prompt(*messages: dict[str, Any]) -> Prompt:
    request = parse_request(json.dumps({"model": "m", "messages": messages}).encode())
    return to_prompt(request.messages, ServingConfig())


def says(role: str, content: object) -> dict[str, Any]:
    return {"role": role, "content": content}


def turns(*messages: dict[str, Any]) -> list[tuple[str, str]]:
    return [(turn.role, turn.text) for turn in prompt(*messages).turns]


def refusal(*messages: dict[str, Any]) -> ApiError:
    with pytest.raises(ApiError) as caught:
        prompt(*messages)
    assert caught.value.status == 400
    return caught.value


def test_a_question_without_a_picture() -> None:
    assert prompt(says("user", "hello")).image is None
    assert turns(says("user", "hello")) == [("user", "hello")]


def test_the_picture_goes_before_the_text_wherever_it_was_sent() -> None:
    image, text = {"type": "image_url", "image_url": {"url": URI}}, {"type": "text", "text": "what is it?"}
    for content in ([image, text], [text, image]):
        made = prompt(says("user", content))
        assert made.turns[0].text == "<image>\nwhat is it?"
        assert made.image is not None
        assert made.image.size == (40, 30)


def test_a_picture_alone_is_a_question() -> None:
    assert turns(says("user", [{"type": "image_url", "image_url": {"url": URI}}])) == [("user", "<image>")]


def test_earlier_turns_are_kept_with_the_picture_where_it_was() -> None:
    conversation = [*asking("what is it?", URI), says("assistant", "a circle"), says("user", "which colour?")]
    expected = [("user", "<image>\nwhat is it?"), ("assistant", "a circle"), ("user", "which colour?")]
    assert turns(*conversation) == expected


def test_system_text_goes_before_the_first_question() -> None:
    assert turns(says("system", "be brief"), says("user", "hello")) == [("user", "be brief\nhello")]
    assert turns(says("developer", "be brief"), *asking("hello", URI)) == [("user", "<image>\nbe brief\nhello")]
    assert turns(says("system", ""), says("user", "hello")) == [("user", "hello")]


def test_neighbours_of_one_role_are_joined() -> None:
    joined = [("user", "a\nb"), ("assistant", "c\nd"), ("user", "e")]
    spoken = [says("user", "a"), says("user", "b"), says("assistant", "c"), says("assistant", "d"), says("user", "e")]
    assert turns(*spoken) == joined


def test_more_than_one_picture_is_refused() -> None:
    error = refusal(*asking("compare", URI, URI))
    assert (error.code, error.param) == ("too_many_images", "messages[0].content[1]")
    assert "Too many images: 2" in error.message
    assert refusal(*asking("a", URI), says("assistant", "b"), *asking("c", URI)).code == "too_many_images"


def test_a_broken_picture_is_named_by_its_place() -> None:
    error = refusal(says("user", "hi"), *asking("what?", "https://example.com/x.png"))
    assert error.param == "messages[1].content[0].image_url.url"


@pytest.mark.parametrize("role", ["user", "assistant", "system"])
def test_the_placeholder_cannot_be_smuggled_in(role: str) -> None:
    error = refusal(says("user", "hi"), says(role, "look: <image>"), says("user", "bye"))
    assert error.param == "messages[1].content"
    assert "'<image>'" in error.message


@pytest.mark.parametrize(
    "messages",
    [
        [says("user", "hi"), says("assistant", "hello")],
        [says("assistant", "hello"), says("user", "hi")],
        [says("system", "be brief")],
    ],
)
def test_a_conversation_begins_and_ends_with_the_user(messages: list[dict[str, Any]]) -> None:
    assert refusal(*messages).param == "messages"


@pytest.mark.parametrize("content", ["", "  \n", [], [{"type": "text", "text": ""}]])
def test_an_empty_message_is_refused(content: object) -> None:
    error = refusal(says("user", "hi"), says("assistant", "hello"), says("user", content))
    assert error.param == "messages[2].content"
    assert "empty" in error.message


def test_text_beyond_the_limit_is_refused_before_a_model_sees_it() -> None:
    limit = ServingConfig().max_text_characters
    assert len(turns(says("system", "x" * (limit - 5)), says("user", "y" * 5))[0][1]) == limit + 1
    error = refusal(says("system", "x" * (limit - 5)), says("user", "y" * 6))
    assert (error.param, error.code) == ("messages", "context_length_exceeded")
    assert f"at most {limit}" in error.message


def test_only_a_user_sends_pictures() -> None:
    error = refusal(says("assistant", [{"type": "image_url", "image_url": {"url": URI}}]), says("user", "hi"))
    assert error.param == "messages[0].content[0].type"
