"""What asking will take is said before anything is asked, and comes true."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from opabinia.data.instructions.answer_log import AnswerWriter, read_answers
from opabinia.data.instructions.client import Answer
from opabinia.data.instructions.pending import read_slice, write_pending
from opabinia.data.instructions.plan import Plan, expected_tokens, plan_asking, render_fetching, render_plan
from opabinia.data.instructions.requests import Form, Prompt, make_request
from opabinia.data.instructions.settings import InstructionConfig
from opabinia.data.instructions.settling import Rules
from opabinia.data.instructions.task import ask_slice
from opabinia.data.instructions.wiki import WikiConfig
from tests.data.instructions.endpoint import Reply, pairs, serving
from tests.data.instructions.specimens import settings

NOWHERE = "http://127.0.0.1:1/v1"


def prompts(*subjects: str, form: Form | None = None) -> list[Prompt]:
    return [Prompt("Be brief.", f"About: {subject}", form or Form()) for subject in subjects]


def remember(given: InstructionConfig, answers: Path, asked: Sequence[Prompt], sent: int | None, answered: int) -> None:
    """Sound answers, with their tokens, to the first requests about some prompts."""
    answers.mkdir(exist_ok=True)
    writer = AnswerWriter(answers, "earlier")
    for prompt in asked:
        key = make_request(prompt, given.endpoint).key
        writer.add(key, Answer(pairs(1), "stop", "writer-2026", "h", sent, answered))
    writer.close()


def test_equal_prompts_and_answered_ones_need_no_request(tmp_path: Path) -> None:
    given = settings(NOWHERE, tmp_path)
    remember(given, tmp_path / "answers", prompts("a"), 5, 5)
    plan = plan_asking(prompts("a", "b", "b", "c"), given, tmp_path / "answers")
    assert (plan.prompts, plan.requests) == (4, 2)
    assert not list(tmp_path.glob("answers/*.pending.jsonl"))


def test_without_answers_four_bytes_of_text_are_a_token(tmp_path: Path) -> None:
    given = settings(NOWHERE, tmp_path)
    one = plan_asking(prompts("x" * 991), given, tmp_path / "none")
    # "Be brief." and "About: " with 991 letters are 9 + 998 bytes.
    assert (one.prompt_tokens, one.measured) == (round(1007 / 4), 0)
    other = plan_asking(prompts("é" * 991), given, tmp_path / "none")
    assert other.prompt_tokens == round((1007 + 991) / 4)


@pytest.mark.parametrize(
    ("form", "tokens"),
    [
        (Form(), 60),
        (Form(least=1, most=8), 480),
        (Form(description=True, least=1, most=3), 330),
        (Form(kind="list", most=20), 160),
    ],
)
def test_a_longer_answer_is_expected_where_more_is_asked_for(form: Form, tokens: int, tmp_path: Path) -> None:
    assert expected_tokens(form) == tokens
    plan = plan_asking(prompts("a", "b", form=form), settings(NOWHERE, tmp_path), tmp_path / "none")
    assert plan.completion_tokens == 2 * tokens


def test_with_enough_answers_the_estimate_follows_their_tokens(tmp_path: Path) -> None:
    given, known = settings(NOWHERE, tmp_path), [f"{number:04d}" for number in range(20)]
    remember(given, tmp_path / "answers", prompts(*known), 40, 7)
    plan = plan_asking(prompts(*known, "abcd", "efgh"), given, tmp_path / "answers")
    assert plan == Plan(prompts=22, requests=2, prompt_tokens=80, completion_tokens=14, measured=20)


def test_answers_that_were_not_counted_tell_nothing(tmp_path: Path) -> None:
    given, known = settings(NOWHERE, tmp_path), [f"{number:04d}" for number in range(20)]
    remember(given, tmp_path / "answers", prompts(*known), None, 7)
    plan = plan_asking(prompts(*known, "abcd"), given, tmp_path / "answers")
    assert (plan.measured, plan.prompt_tokens) == (0, round((9 + 11) / 4))


def test_the_requests_that_are_planned_are_those_that_are_sent(tmp_path: Path) -> None:
    answers, asked = tmp_path / "answers", prompts("a", "b", "b", "c")
    answers.mkdir()
    with serving(lambda user, count: Reply(pairs(1))) as server:
        given = settings(server.url, tmp_path)
        planned = plan_asking(asked, given, answers).requests
        rules = Rules(given.endpoint, given.filters, 2)
        (part,), _ = write_pending(asked, rules, read_answers(answers), tmp_path / "p.pending.jsonl", given.asking)
        assert asyncio.run(ask_slice(list(read_slice(part)), part, given, rules, answers)) == []
        assert server.requested.total() == planned == 3
        assert plan_asking(asked, given, answers).requests == 0


@pytest.mark.parametrize(
    ("changes", "cost"),
    [
        # 1000 · 2 + 300 · 10 dollars a million; at most twice 1000 · 2, and twice 5 answers of 100 tokens.
        ({}, "about 0.01 USD; 0.01 USD if every answer took all attempts and max_tokens"),
        ({"endpoint": {"max_tokens": 100_000}}, "about 0.01 USD; 10.00 USD if every answer took all attempts"),
        ({"endpoint": {"max_tokens": None}}, "about 0.01 USD; max_tokens is null, so there is no upper limit"),
        ({"endpoint": {"model": "unheard-of"}}, "unknown: unheard-of has no price; name a table that gives it one"),
    ],
)
def test_the_cost_is_said_with_its_upper_limit(tmp_path: Path, changes: dict[str, Any], cost: str) -> None:
    given = settings(NOWHERE, tmp_path, **{"endpoint": {"max_tokens": 100}} | changes)
    text = render_plan(Plan(prompts=7, requests=5, prompt_tokens=1000, completion_tokens=300, measured=0), given)
    assert f"cost:     {cost}" in text
    assert "requests: 5 for 7 prompts; 2 are answered before, or equal to others" in text
    assert "about 1,000 sent and 300 answered (by rule of thumb" in text


def test_a_plan_without_requests_costs_nothing(tmp_path: Path) -> None:
    text = render_plan(Plan(7, 0, 0, 0, 0), settings(NOWHERE, tmp_path))
    assert text == "requests: none; 7 prompts, all answered before"


def test_the_time_that_a_wiki_takes_follows_from_its_pause() -> None:
    wiki = WikiConfig(user_agent="me", pages_per_topic=10, pause_s=2.0)
    # 60 searches, and three requests for each of 600 pages.
    assert "about 1.0 hours" in render_fetching(60, wiki)
