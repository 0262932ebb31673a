from __future__ import annotations

import pytest

from opabinia.evaluation.answer_length import answer_length
from opabinia.evaluation.evaluate import Judged
from tests.evaluation.specimens import question


def test_words_are_counted_and_answers_of_one_word_are_told_apart() -> None:
    said = ["red", "The circle is  red.", "", "(B)"]
    length = answer_length([Judged(question(), answer, 0.0) for answer in said])
    assert (length.words, length.one_word, length.empty) == (1.5, 50.0, 25.0)


def test_no_answers_cannot_be_measured() -> None:
    with pytest.raises(ValueError, match="ask at least one question"):
        answer_length([])
