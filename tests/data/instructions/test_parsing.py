"""Models write pairs in many ways; all of these mean the same."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opabinia.data.instructions.parsing import AnswerError, Pair, parse_list, parse_pairs

TWO = (Pair("What is shown?", "A cat."), Pair("Which colour is it?", "Black, with 2. white paws."))
WRITTEN = {
    "labels": "Question 1: What is shown?\nAnswer 1: A cat.\nQuestion 2: Which colour is it?\nAnswer 2: Black, with 2. white paws.",
    "letters": "Q1: What is shown?\nA1: A cat.\n\nQ2: Which colour is it?\nA2: Black, with 2. white paws.",
    "no numbers": "Q: What is shown?\nA: A cat.\nQ: Which colour is it?\nA: Black, with 2. white paws.",
    "bold": "**Question 1:** What is shown?\n**Answer 1:** A cat.\n---\n**Question 2:** Which colour is it?\n"
    "**Answer 2:** Black, with 2. white paws.",
    "bold headings": "**Question 1**\nWhat is shown?\n\n**Answer 1**\nA cat.\n\n**Question 2**\nWhich colour is it?\n\n"
    "**Answer 2**\nBlack, with 2. white paws.",
    "underscores": "__Question 1:__ What is shown?\n__Answer 1:__ A cat.\n__Question 2:__ Which colour is it?\n"
    "__Answer 2:__ Black, with 2. white paws.",
    "markdown headings": "### Question 1\nWhat is shown?\n### Answer 1\nA cat.\n### Question 2\nWhich colour is it?\n"
    "### Answer 2\nBlack, with 2. white paws.",
    "numbered labels": "1. Question: What is shown?\n   Answer: A cat.\n2. Question: Which colour is it?\n"
    "   Answer: Black, with 2. white paws.",
    "numbered questions": "1. **What is shown?**\n   - Answer: A cat.\n2. **Which colour is it?**\n"
    "   - Answer: Black, with 2. white paws.",
    "one item each": "1. What is shown? A cat.\n2. Which colour is it?\n   Black, with 2. white paws.",
    "two lists": "**Questions:**\n1. What is shown?\n2. Which colour is it?\n\n**Answers:**\n1. A cat.\n"
    "2. Black, with 2. white paws.",
    "introduced": "Sure! Here they are:\n\nQ1: What is shown?\nA1: A cat.\nQ2: Which colour is it?\nA2: Black, with 2. white paws.",
    "thought first": "<think>Q1: a trap?\nA1: yes</think>\nQ1: What is shown?\nA1: A cat.\nQ2: Which colour is it?\n"
    "A2: Black, with 2. white paws.",
    "out of order": "Q2: Which colour is it?\nA2: Black, with 2. white paws.\nQ1: What is shown?\nA1: A cat.",
    "json": json.dumps([{"question": pair.question, "answer": pair.answer} for pair in TWO]),
    "fenced json": "Here:\n```json\n"
    + json.dumps({"pairs": [{"Question": p.question, "Answer": p.answer} for p in TWO]}, indent=2)
    + "\n```\nDone.",
    "numbered json": json.dumps({f"{label}{n}": text for n, pair in enumerate(TWO, 1)
                                 for label, text in (("q", pair.question), ("a", pair.answer))}),
    "json of lists": json.dumps([[pair.question, pair.answer] for pair in TWO]),
}  # fmt: skip


@pytest.mark.parametrize("way", WRITTEN)
def test_pairs_are_read_however_they_are_written(way: str) -> None:
    assert parse_pairs(WRITTEN[way]).pairs == TWO


def test_an_answer_keeps_its_lines_its_list_and_its_choices() -> None:
    text = "Question 1: Which?\nA. red\nB. blue\nAnswer 1: Steps:\n1. look\n2. choose\nB."
    assert parse_pairs(text).pairs == (Pair("Which?\nA. red\nB. blue", "Steps:\n1. look\n2. choose\nB."),)


@pytest.mark.parametrize("label", ["Findings", "**Report:**", "Description", "## Findings"])
def test_a_description_stands_before_the_pairs(label: str) -> None:
    separator = "" if label.startswith(("#", "*")) else ":"
    parsed = parse_pairs(f"{label}{separator}\nA dark spot.\nIn the liver.\n\nQ1: Where?\nA1: In the liver.")
    assert parsed.description == "A dark spot.\nIn the liver."
    assert parsed.pairs == (Pair("Where?", "In the liver."),)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Q1: What?\nA1: A cat.\nQ2: Where?", "question 2 has no answer"),
        ("Q1: What?", "question 1 has no answer"),
        ("Q1: What?\nA1: A cat.\nA2: A dog.", "answer 2 has no question"),
        ("Q1:\nA1: A cat.", "a question is empty"),
        ('[{"question": "What?", "answer": "A c', "malformed JSON"),
        ('```json\n{"pairs": [,]}\n```', "malformed JSON"),
    ],
)
def test_what_is_wrong_with_an_answer_is_said(text: str, reason: str) -> None:
    with pytest.raises(AnswerError, match=reason):
        parse_pairs(text)


def test_words_without_pairs_are_no_pairs() -> None:
    assert parse_pairs("It is a nice picture.").pairs == ()


@pytest.mark.parametrize(
    "text",
    ['["Cell walls", "Yeast", "DNA"]', '```json\n{"topics": ["Cell walls", "Yeast", "DNA"]}\n```', "- Cell walls\n- Yeast\n* DNA",
     "Topics:\n1. **Cell walls**\n2. Yeast.\n3) DNA", "Cell walls\nYeast\n\nDNA",
     '[{"topic": "Cell walls"}, {"topic": "Yeast"}, "DNA"]'],
)  # fmt: skip
def test_a_list_is_read_however_it_is_written(text: str) -> None:
    assert parse_list(text) == ["Cell walls", "Yeast", "DNA"]


words = st.text("abc xyz", min_size=1, max_size=12).map(str.strip).filter(bool)


@given(st.lists(st.tuples(words, words), min_size=1, max_size=6))
def test_what_is_written_as_asked_is_read_back(texts: list[tuple[str, str]]) -> None:
    written = "\n".join(f"Question {n}: {q}\nAnswer {n}: {a}" for n, (q, a) in enumerate(texts, start=1))
    assert parse_pairs(written).pairs == tuple(Pair(question, answer) for question, answer in texts)
    as_json = json.dumps([{"question": question, "answer": answer} for question, answer in texts])
    assert parse_pairs(as_json).pairs == parse_pairs(written).pairs


@given(st.text('Q1A:2.?\n*#[]{}" `-answerquestion', max_size=120))
def test_no_text_makes_the_parser_stumble(text: str) -> None:
    for parse in (parse_pairs, parse_list):
        try:
            parse(text)
        except AnswerError as error:
            assert "\n" not in str(error)
