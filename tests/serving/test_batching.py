"""Requests are answered together where their settings allow, and none spoils another."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from opabinia.data.records import Turn
from opabinia.models.answering import Answer, Prompt
from opabinia.serving.batching import Asked, Refusal, answer_all
from opabinia.serving.sampling import Sampling
from tests.serving.stand_in import StandIn

GREEDY = Sampling(max_new_tokens=50, temperature=0.0, top_p=1.0, seed=None)
SEEDED = Sampling(max_new_tokens=50, temperature=1.0, top_p=1.0, seed=3)


def ask(text: str, sampling: Sampling = GREEDY) -> Asked:
    return Asked(Prompt(turns=(Turn("user", text),), image=None), sampling)


def texts(asked: Sequence[Asked]) -> list[str]:
    outcomes = answer_all(StandIn("m"), asked)
    assert all(isinstance(outcome, Answer) for outcome in outcomes)
    return [outcome.text for outcome in outcomes if isinstance(outcome, Answer)]


def test_requests_with_equal_settings_share_a_batch_and_keep_their_order() -> None:
    other = Sampling(max_new_tokens=49, temperature=0.0, top_p=1.0, seed=None)
    said = texts([ask("a"), ask("b", other), ask("c"), ask("d")])
    assert [line.split(": ")[1] for line in said] == [
        "a, turns=1, batch=3",
        "b, turns=1, batch=1",
        "c, turns=1, batch=3",
        "d, turns=1, batch=3",
    ]


def test_a_seed_gives_the_same_answer_in_any_company() -> None:
    alone = texts([ask("draw", SEEDED)])
    among = texts([ask("x", SEEDED), ask("draw", SEEDED), ask("draw", SEEDED)])
    assert among[1:] == [*alone, *alone]


def test_a_request_that_does_not_fit_is_refused_and_its_neighbours_are_answered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    outcomes = answer_all(StandIn("m"), [ask("a"), ask("word " * 300), ask("c")])
    assert outcomes[1] == Refusal("request", "messages: 300 tokens do not fit into a context of 200")
    assert isinstance(outcomes[0], Answer)
    assert isinstance(outcomes[2], Answer)
    assert not caplog.records


def test_a_failing_model_is_the_servers_fault_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    outcomes = answer_all(StandIn("m"), [ask("a"), ask("please crash")])
    assert isinstance(outcomes[0], Answer)
    assert isinstance(outcomes[1], Refusal)
    assert outcomes[1].fault == "server"
    assert "weights have melted" in caplog.text
