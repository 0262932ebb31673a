from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opabinia.evaluation.matching import is_correct, picked_choice
from opabinia.evaluation.normal_form import normalise
from tests.evaluation.specimens import LETTERS, question

COLOURS = ("red", "blue", "green")


@pytest.mark.parametrize(
    "answer", ["C", "c", "(C)", "(c).", "( C )", "C.", "C)", "C) green", "(C) green .", "(C), green"]
)
def test_a_letter_names_its_choice(answer: str) -> None:
    assert picked_choice(answer, COLOURS) == 2


@pytest.mark.parametrize("answer", ["green", "Green", " GREEN. ", "green .", '"green"', "green\nblue"])
def test_the_text_of_a_choice_names_it(answer: str) -> None:
    assert picked_choice(answer, COLOURS) == 2


@pytest.mark.parametrize(
    "answer",
    [
        "answer: green",
        "Answer: (C)",
        "The answer is C.",
        "the correct answer is: green",
        "Option C",
        "no. Answer: green",
    ],
)
def test_words_that_introduce_the_answer_are_skipped(answer: str) -> None:
    assert picked_choice(answer, COLOURS) == 2


@pytest.mark.parametrize(
    "answer", ["", "  ", "yellow", "(D)", "D", "green blue", "a green thing", "(A) green", "B. green", "()"]
)
def test_what_names_no_choice_or_two_is_none(answer: str) -> None:
    assert picked_choice(answer, COLOURS) is None


def test_choices_that_are_letters_are_told_from_their_letters() -> None:
    assert picked_choice("A", ("B", "A")) == 1
    assert picked_choice("(A)", ("B", "A")) == 0


@pytest.mark.parametrize(
    ("answer", "choices", "index"),
    [
        ("-3", ("3", "-3"), 1),
        ("3.5", ("35", "3.5"), 1),
        ("3.", ("3", "30"), 0),
        ("50 %", ("50", "50%"), 1),
        ("1,000", ("1", "1000"), 1),
        ("top-left", ("top left", "top right"), 0),
        (">", ("<", ">"), 1),
        ("10", ("1", "10"), 1),
    ],
)
def test_numbers_and_signs_keep_what_tells_them_apart(answer: str, choices: tuple[str, ...], index: int) -> None:
    assert picked_choice(answer, choices) == index


def test_the_right_letter_and_the_right_text_are_both_correct_and_nothing_else_is() -> None:
    asked = question(choices=COLOURS, right=1)
    assert is_correct(asked, "(B)")
    assert is_correct(asked, "blue")
    assert not is_correct(asked, "(A)")
    assert not is_correct(asked, "red")
    assert not is_correct(asked, "")


def test_an_open_question_compares_the_text() -> None:
    asked = question(choices=())
    assert is_correct(asked, "Red.")
    assert not is_correct(asked, "A")


@pytest.mark.parametrize("choices", [("the CHOICE0", "the 0"), ("the choice", "the rest"), ("option 2", "2")])
def test_a_choice_may_begin_like_the_words_that_introduce_an_answer(choices: tuple[str, ...]) -> None:
    assert [picked_choice(choice, choices) for choice in choices] == [0, 1]


@given(st.lists(st.text(min_size=1, max_size=8), min_size=2, max_size=6), st.data())
def test_every_choice_is_found_by_its_own_text_and_by_its_letter(texts: list[str], data: st.DataObject) -> None:
    choices = tuple({normalise(text): f"the {text}" for text in texts if normalise(text)}.values())
    if len({normalise(choice) for choice in choices}) < len(choices) or not choices:
        return
    index = data.draw(st.integers(0, len(choices) - 1))
    assert picked_choice(f"({LETTERS[index]})", choices) == index
    one_line = choices[index].splitlines() == [choices[index]]
    if one_line and "answer" not in choices[index].casefold():
        assert picked_choice(choices[index], choices) == index


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)
