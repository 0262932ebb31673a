"""An answer is used only when it answers, in full, as asked, and as one who sees the picture would."""

from __future__ import annotations

import pytest

from opabinia.data.instructions.client import Answer
from opabinia.data.instructions.filters import FilterConfig
from opabinia.data.instructions.judging import judge
from opabinia.data.instructions.parsing import AnswerError
from opabinia.data.instructions.requests import Form
from tests.data.instructions.endpoint import pairs

FILTERS = FilterConfig()
PAIR = "Q1: What is shown?\nA1: A cat.\n"


def answer(text: str, ending: str = "stop") -> Answer:
    return Answer(text, ending, "writer", "host", 1, 1)


def questions(text: str, form: Form, filters: FilterConfig = FILTERS) -> list[str]:
    return [pair.question for pair in judge(answer(text), form, filters).pairs]


@pytest.mark.parametrize(
    ("text", "ending", "reason", "again"),
    [
        ("", "stop", "empty", True),
        (" \n", "stop", "empty", True),
        ("<think>hm</think>", "stop", "empty", True),
        (pairs(2), "length", "cut off", True),
        ("", "content_filter", "withheld", False),
        ("I'm sorry, but I can't help with that.", "stop", "refuses", False),
        ("I\u2019m sorry, I cannot see the image.", "stop", "refuses", False),
        ("As an AI language model, I do not see.", "stop", "refuses", False),
        ("A very nice picture.", "stop", "0 usable pairs, not 1", True),
        ('[{"question": ', "stop", "malformed JSON", True),
        ("Q1: What?\nA1: I cannot tell.", "stop", "an answer refuses", True),
        ("Q1: What does the caption say?\nA1: A cat.", "stop", 'speaks of "caption"', True),
        ("Q1: <image> What?\nA1: A cat.", "stop", "holds <image>", True),
        (f"Q1: What?\nA1: {'long ' * 401}", "stop", "more than 400 words", True),
    ],
)
def test_an_answer_that_cannot_be_used_is_refused(text: str, ending: str, reason: str, again: bool) -> None:
    with pytest.raises(AnswerError, match=reason) as caught:
        judge(answer(text, ending), Form(), FILTERS)
    assert caught.value.again is again


def test_a_bad_pair_is_dropped_where_enough_others_are_left() -> None:
    text = PAIR + "Q2: What says the caption?\nA2: Cat.\nQ3: What is shown?\nA3: Again a cat.\nQ4: Where?\nA4: At home."
    assert questions(text, Form(least=2, most=5)) == ["What is shown?", "Where?"]
    with pytest.raises(AnswerError, match="2 usable pairs, not 3"):
        questions(text, Form(least=3, most=5))


def test_too_many_pairs_are_cut_to_the_first() -> None:
    assert len(questions(pairs(9), Form(least=1, most=3))) == 3


def test_a_description_is_there_when_it_is_asked_for_and_only_then() -> None:
    described = "Findings: A dark spot.\n" + PAIR
    wanted = Form(description=True)
    assert judge(answer(described), wanted, FILTERS).description == "A dark spot."
    assert judge(answer(described), Form(), FILTERS).description == ""
    with pytest.raises(AnswerError, match="no description"):
        judge(answer(PAIR), wanted, FILTERS)


def test_where_only_a_description_is_asked_for_the_whole_text_is_it() -> None:
    content = judge(answer("A clear lung.\nNo fractures."), Form(description=True, least=0, most=0), FILTERS)
    assert (content.description, content.pairs) == ("A clear lung.\nNo fractures.", ())


def test_a_list_holds_each_item_once() -> None:
    form = Form(kind="list", least=2, most=2)
    assert judge(answer('["a", "b", "a", "c"]'), form, FILTERS).items == ("a", "b")
    with pytest.raises(AnswerError, match="1 items, not 2"):
        judge(answer('["a", "a"]'), form, FILTERS)


def test_the_phrases_are_the_users_to_change() -> None:
    lenient = FilterConfig(refusals=(), giveaways=())
    assert questions("Q1: What does the caption say?\nA1: I cannot tell.", Form(), lenient) == [
        "What does the caption say?"
    ]
    strict = FilterConfig(giveaways=("cat",))
    with pytest.raises(AnswerError, match='speaks of "cat"'):
        questions(PAIR, Form(), strict)
