"""What a task may ask of an answer."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opabinia.evaluation.lmms_eval.settings import AnswerSettings, answer_settings


def test_what_tasks_say_of_a_greedy_answer_is_heeded() -> None:
    """MME's own words."""
    asked = {
        "max_new_tokens": 16,
        "temperature": 0,
        "top_p": 1.0,
        "num_beams": 1,
        "do_sample": False,
        "until": ["\n\n"],
    }
    assert answer_settings(asked) == AnswerSettings(16, ("\n\n",))


@pytest.mark.parametrize("until, ends", [(None, ()), ([], ()), ("", ()), ("END", ("END",)), (["", "a"], ("a",))])
def test_an_answer_ends_where_the_task_says_if_it_says(until: Any, ends: tuple[str, ...]) -> None:
    assert answer_settings({"until": until}).until == ends


def test_a_task_that_names_no_longest_answer_gets_that_of_lmms_evals_models() -> None:
    assert answer_settings({}).max_new_tokens == 1024


@pytest.mark.parametrize(
    "asked, refusal",
    [
        (
            {"temperature": 0.2, "do_sample": True},
            "temperature: the task asks for 0.2, .* add --gen_kwargs temperature=0",
        ),
        ({"temperature": 0.7}, "temperature: the task asks for 0.7"),
        ({"do_sample": True}, "temperature: the task asks to sample"),
        ({"num_beams": 5}, "num_beams: the task asks for 5, .* num_beams=1"),
        ({"repetition_penalty": 1.1}, "repetition_penalty: the task asks for 1.1"),
    ],
)
def test_what_is_not_the_likeliest_answer_is_refused_with_the_way_out(asked: dict[str, Any], refusal: str) -> None:
    with pytest.raises(ValueError, match=refusal):
        answer_settings(asked)


def test_the_way_out_is_taken() -> None:
    assert answer_settings({"temperature": 0, "do_sample": True, "num_beams": None, "repetition_penalty": 1.0})


@given(st.text("ab\n", max_size=12), st.lists(st.text("ab\n", min_size=1, max_size=3), max_size=3))
def test_a_cut_answer_is_a_beginning_that_holds_no_end(text: str, ends: list[str]) -> None:
    kept = AnswerSettings(9, tuple(ends)).cut(text)
    assert text.lstrip().startswith(kept) or text.startswith(kept)
    assert not any(end in kept for end in ends)


def test_the_first_of_several_ends_counts() -> None:
    assert AnswerSettings(9, ("\n", "two")).cut("one two\nthree") == "one"
