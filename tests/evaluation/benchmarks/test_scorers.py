from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opabinia.evaluation.benchmarks.catalogue import BENCHMARKS
from opabinia.evaluation.benchmarks.scorers import anls, containment, exact, relaxed, vqa
from opabinia.evaluation.benchmarks.scorers.registry import scorer_of
from opabinia.evaluation.questions import Question


def asked(*answers: str, source: str = "source", benchmark: str = "gqa", choices: tuple[str, ...] = ()) -> Question:
    answer = "(A)" if choices else answers[0]
    family = BENCHMARKS[benchmark].category
    return Question("0", family, "task", "", None, "?", choices, answer, source, benchmark, answers)


@pytest.mark.parametrize(
    ("answer", "credit"),
    [("Red.", 1), ("red", 1), ("The answer is red", 1), ("dark red", 0), ("blue", 0), ("", 0)],
)
def test_exact_compares_whole_answers(answer: str, credit: float) -> None:
    assert exact.credit(asked("red"), answer) == credit


@pytest.mark.parametrize(
    ("right", "answer", "credit"),
    [
        ("100", "105", 1),
        ("100", "95.0", 1),
        ("100", "105.1", 0),
        ("100", "94.9", 0),
        ("-20", "-21", 1),
        ("-20", "20", 0),
        ("0", "0.0", 1),
        ("0", "0.01", 0),
        ("45%", "0.45", 1),
        ("45%", "45", 0),
        ("1,200", "1230.", 1),
        ("France", "france", 1),
        ("France", "Frances", 0),
        ("2010", "in 2010", 0),
        ("100", "nan", 0),
        ("100", "inf", 0),
        ("inf", "inf", 1),
    ],
)
def test_relaxed_accuracy_lets_numbers_be_five_percent_off(right: str, answer: str, credit: float) -> None:
    assert relaxed.credit(asked(right), answer) == credit


def test_relaxed_accuracy_reads_the_answer_that_follows_the_reasoning() -> None:
    assert relaxed.credit(asked("7"), "There are 3 and 4 apples.\nAnswer: 7") == 1


@pytest.mark.parametrize(
    ("rights", "answer", "credit"),
    [
        (("kitten",), "sitting", 1 - 3 / 7),
        (("kitten",), "Kitten", 1.0),
        (("kitten", "sitting"), "sitting", 1.0),
        (("abcd",), "abxy", 0.5),
        (("abcd",), "axyz", 0.0),
        (("New  York",), "new york", 1.0),
        (("abc",), "", 0.0),
    ],
)
def test_anls_is_the_best_similarity_of_at_least_a_half(rights: tuple[str, ...], answer: str, credit: float) -> None:
    assert anls.credit(asked(*rights), answer) == pytest.approx(credit)


@given(st.text("abc ", max_size=8), st.text("abc ", max_size=8))
def test_similarity_is_symmetric_and_one_for_equal_texts_alone(one: str, other: str) -> None:
    assert anls.similarity(one, other) == anls.similarity(other, one)
    assert (anls.similarity(one, other) == 1) == (one == other)
    assert 0 <= anls.similarity(one, other) <= 1


@pytest.mark.parametrize(
    ("agreeing", "credit"),
    # With n of ten agreeing, n people leave n − 1 agreeing behind when left out, and the other 10 − n leave n.
    [(0, 0.0), (1, 9 * (1 / 3) / 10), (2, (2 * (1 / 3) + 8 * (2 / 3)) / 10), (3, (3 * (2 / 3) + 7) / 10), (4, 1.0)],
)
def test_vqa_accuracy_leaves_each_person_out_in_turn(agreeing: int, credit: float) -> None:
    people = ("stop",) * agreeing + tuple(f"other {n}" for n in range(10 - agreeing))
    assert vqa.credit(asked(*people), "Stop") == pytest.approx(credit)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The Two Dogs", "2 dogs"),
        ("dont stop", "don't stop"),
        ("1,000", "1000"),
        ("3.5 m.", "3.5 m"),
        ("half-time", "half time"),
        ("half - time", "half time"),
        ("bob's diner!", "bob 's diner"),
        ("none", "0"),
        ("its", "its"),
    ],
)
def test_answers_of_people_are_compared_in_a_normal_form(text: str, normal: str) -> None:
    assert vqa.normal_answer(text) == normal


def test_ocrbench_looks_for_the_answer_in_what_was_said() -> None:
    assert containment.credit(asked("CENTRE", "center"), "It reads: Centre St.") == 1
    assert containment.credit(asked("stop sign"), "stop\nsign") == 1
    assert containment.credit(asked("stop"), "st op") == 0


def test_formulas_keep_their_case_and_lose_their_spaces() -> None:
    formula = asked("x ^ {2} + Y", source="HME100k")
    assert containment.credit(formula, "x^{2}+Y") == 1
    assert containment.credit(formula, "x^{2}+y") == 0


def test_choices_are_matched_and_open_questions_of_the_same_benchmark_have_their_own_rule() -> None:
    choice = asked("", benchmark="mmmu", choices=("red", "blue"))
    assert (scorer_of(choice).version, scorer_of(choice).credit(choice, "(A)")) == ("choice-match-2", 1)
    number = asked("100", benchmark="mmmu")
    assert (scorer_of(number).version, scorer_of(number).credit(number, "103")) == ("relaxed-1", 1)


@pytest.mark.parametrize(
    ("benchmark", "version"),
    [
        ("gqa", "exact-1"),
        ("chart_qa", "relaxed-1"),
        ("doc_vqa", "anls-1"),
        ("text_vqa", "vqa-1"),
        ("ocr_bench", "containment-1"),
        ("math_vista", "relaxed-1"),
    ],
)
def test_every_open_benchmark_has_the_rule_of_its_publication(benchmark: str, version: str) -> None:
    assert scorer_of(asked("x", benchmark=benchmark)).version == version
