"""VQA accuracy over the answers of ten people (TextVQA; Antol et al. 2015, with the normal form of its evaluation script)."""

from __future__ import annotations

import re
from statistics import fmean

from opabinia.evaluation.questions import Question

_ARTICLES = frozenset({"a", "an", "the"})
_NUMBERS = {
    "none": "0", "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7",
    "eight": "8", "nine": "9", "ten": "10",
}  # fmt: skip
_MARKS = ';/[]"{}()=+\\_-><@`!'
_POINT = re.compile(r"\.(?!\d)")
# Words that lose their meaning with the apostrophe (its, ill, well, shell) are left out.
_CONTRACTED = (
    "ain't", "aren't", "can't", "could've", "couldn't", "didn't", "doesn't", "don't", "hadn't", "hasn't",
    "haven't", "he'd", "he's", "how'd", "how'll", "how's", "i'm", "i've", "isn't", "it'd", "it'll", "mightn't",
    "might've", "mustn't", "must've", "needn't", "o'clock", "oughtn't", "shan't", "should've", "shouldn't",
    "that's", "there'd", "there's", "they'd", "they'll", "they're", "they've", "wasn't", "we've", "weren't",
    "what'll", "what're", "what's", "when's", "where'd", "where's", "who'd", "who'll", "who's", "who've",
    "why'll", "why're", "why's", "won't", "would've", "wouldn't", "y'all", "you'd", "you'll", "you're", "you've",
)  # fmt: skip
_CONTRACTIONS = {text.replace("'", ""): text for text in _CONTRACTED}


def credit(question: Question, answer: str) -> float:
    """From 0 to 1: each person in turn is left out, and three agreeing among the others are full credit; then the mean."""
    said = normal_answer(answer)
    people = [normal_answer(given) for given in question.answers]
    agreeing = sum(given == said for given in people)
    return fmean(min(1.0, (agreeing - (given == said)) / 3) for given in people) if people else 0.0


def normal_answer(text: str) -> str:
    """Lower case, number words as digits, contractions with their apostrophes; without articles and punctuation.

    A mark that stands at the edge of a word anywhere in the text vanishes, one inside words becomes a space.
    """
    plain = " ".join(text.lower().replace(",", "").replace("?", "").replace("'s", " 's").split())
    folded = plain
    for mark in _MARKS:
        folded = folded.replace(mark, "" if f"{mark} " in plain or f" {mark}" in plain else " ")
    words = [_NUMBERS.get(word, word) for word in _POINT.sub("", folded).split()]
    return " ".join(_CONTRACTIONS.get(word, word) for word in words if word not in _ARTICLES)
