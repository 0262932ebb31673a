"""A prompt is asked again, with a word on what was wrong, while that may help."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from opabinia.data.instructions.client import Answer
from opabinia.data.instructions.filters import FilterConfig
from opabinia.data.instructions.requests import Form, Prompt, make_request
from opabinia.data.instructions.settings import EndpointConfig
from opabinia.data.instructions.settling import Outcome, Rules, Unsettled, follow
from tests.data.instructions.endpoint import pairs

ENDPOINT = EndpointConfig(model="writer")
PROMPT = Prompt("Be brief.", "About: a cat", Form())


def rules(attempts: int = 3) -> Rules:
    return Rules(ENDPOINT, FilterConfig(), attempts)


def run(texts: list[str], attempts: int = 3) -> tuple[Outcome | Unsettled, list[str]]:
    """Where it leads when the model answers these texts one after the other, and the users' messages."""
    answers, messages = dict[str, Answer](), list[str]()
    for text in [*texts, None]:
        found = follow(PROMPT, rules(attempts), answers.get)
        if isinstance(found, Outcome) or text is None:
            return found, messages
        messages.append(found.request.body["messages"][-1]["content"])
        answers[found.request.key] = Answer(text, "stop", "m", "h", 1, 1)
    raise AssertionError


def test_a_good_answer_settles_it() -> None:
    outcome, messages = run([pairs(1)])
    assert isinstance(outcome, Outcome) and outcome.content and outcome.reason == ""
    assert messages == ["About: a cat"]


def test_the_next_attempt_says_what_was_wrong() -> None:
    outcome, messages = run(["nothing useful", "", pairs(1)])
    assert isinstance(outcome, Outcome) and outcome.content
    assert len(outcome.attempts) == 3
    assert "0 usable pairs" in messages[1] and "it was empty" in messages[2]
    assert all(message.startswith("About: a cat") for message in messages)


def test_attempts_come_to_an_end_with_the_last_reason() -> None:
    outcome, _ = run(["bad", ""], attempts=2)
    assert isinstance(outcome, Outcome) and outcome.content is None
    assert outcome.reason == "it was empty"


def test_a_refusal_is_not_argued_with() -> None:
    outcome, _ = run(["I'm sorry, I can't."])
    assert isinstance(outcome, Outcome) and outcome.content is None
    assert len(outcome.attempts) == 1


@given(st.integers(1, 5), st.integers(1, 5))
def test_each_attempt_is_a_request_of_its_own(first: int, second: int) -> None:
    same = make_request(PROMPT, ENDPOINT, first).key == make_request(PROMPT, ENDPOINT, second).key
    assert same is (first == second)


def test_the_key_is_of_what_is_sent_and_not_of_where() -> None:
    key = make_request(PROMPT, ENDPOINT).key
    elsewhere = EndpointConfig(model="writer", base_url="http://10.0.0.7:9000/v1", api_key_env="K", timeout_s=1)
    assert make_request(PROMPT, elsewhere).key == key
    for changes in ({"model": "other"}, {"temperature": 0.1}, {"max_tokens": None}, {"body": {"top_p": 0.5}}):
        changed = EndpointConfig.model_validate({"model": "writer", **changes})
        assert make_request(PROMPT, changed).key != key
    assert make_request(Prompt("Be brief.", "About: a dog", Form()), ENDPOINT).key != key
