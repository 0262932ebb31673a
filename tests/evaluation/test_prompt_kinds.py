from __future__ import annotations

from hashlib import sha256

import pytest

from opabinia.evaluation.prompt_kinds import PROMPT_KINDS

# The sentences of the published evaluation, by the first digits of their SHA-256.
PUBLISHED = {
    "word": "c0525726b5f85518",
    "number": "fc77c2e8962357be",
    "letter": "47c8841afab3019f",
    "short": "1d77a47b311637ae",
    "reasoning": "00749fb3390a0ef4",
    "unanswerable": "8b2e2b5845d2b607",
}


@pytest.mark.parametrize(("kind", "digest"), PUBLISHED.items())
def test_published_kinds_are_worded_to_the_letter(kind: str, digest: str) -> None:
    asked = PROMPT_KINDS[kind]("Why?", ("a", "b"))
    sentence = asked.removeprefix("Why?\n").removeprefix("(A) a\n(B) b\n")
    assert sha256(sentence.encode()).hexdigest().startswith(digest)


def test_there_are_ten_kinds_and_the_question_alone() -> None:
    assert len(PROMPT_KINDS) == 11
    assert PROMPT_KINDS["text"]("Why?", ("a", "b")) == "Why?"


def test_choices_are_listed_where_a_letter_is_asked_for() -> None:
    assert PROMPT_KINDS["letter-alone"]("Why?", ("a", "b")).startswith("Why?\n(A) a\n(B) b\n")
    assert "(A)" not in PROMPT_KINDS["word"]("Why?", ("a", "b"))


@pytest.mark.parametrize("kind", ["letter", "letter-alone"])
def test_no_letter_is_asked_for_without_choices(kind: str) -> None:
    assert PROMPT_KINDS[kind]("Why?", ()) == "Why?"
