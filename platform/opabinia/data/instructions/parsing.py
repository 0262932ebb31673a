"""What a model wrote, as pairs of questions and answers or as a list.

Models keep to a wanted format only roughly. Understood are JSON, fenced or bare; labels ("Q1:", "**Question 1**", "### Answer");
numbered questions with labelled answers; and two numbered lists, one below "Questions" and one below "Answers".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from opabinia.data.instructions.json_answers import Labelled, items_in, labelled_in, load_json
from opabinia.data.instructions.labels import labelled_lines

_THOUGHTS = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
_LIST_ITEM = re.compile(r"^\s*(?:[-*•]|\(?\d+[.)])\s+(.+)$", re.MULTILINE)
_QUESTION_MARK = re.compile(r"\?[*_\"”]*\s+")
_EDGES = re.compile(r"\A(?:\s|\*\*|__)+|(?:\s|\*\*|__)+\Z")


class AnswerError(ValueError):
    """An answer that cannot be used; the message is the reason alone, one line. again: whether asking again may help."""

    def __init__(self, reason: str, *, again: bool = True) -> None:
        super().__init__(reason)
        self.again = again


@dataclass(frozen=True, slots=True)
class Pair:
    """A question and its answer."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Parsed:
    """description: what the picture shows as a whole, "" when the text holds none. pairs: in the order of their numbers."""

    description: str
    pairs: tuple[Pair, ...]


def parse_pairs(text: str) -> Parsed:
    """Read the pairs of an answer. Raises AnswerError when a question has no answer or JSON does not parse."""
    spoken = without_thoughts(text)
    document, is_json = load_json(spoken)
    labelled = labelled_in(document) if document is not None else labelled_lines(spoken)
    if is_json and document is None and not labelled:
        raise AnswerError("it is malformed JSON")
    description = " ".join(clean(part.text) for part in labelled if part.kind == "description").strip()
    return Parsed(description, tuple(_matched(labelled)))


def parse_list(text: str) -> list[str]:
    """Read a JSON list, or lines with bullets or numbers; a text without either is a list of its lines."""
    spoken = without_thoughts(text)
    document, is_json = load_json(spoken)
    if document is not None:
        found = items_in(document)
    elif is_json:
        raise AnswerError("it is malformed JSON")
    else:
        found: list[str] = _LIST_ITEM.findall(spoken) or spoken.splitlines()
    cleaned = (clean(item).strip(" \"'.,;") for item in found)
    return [item for item in cleaned if item]


def without_thoughts(text: str) -> str:
    """The text without what a reasoning model thinks aloud before it."""
    return _THOUGHTS.sub("", text).strip()


def clean(text: str) -> str:
    """The text without spaces and bold marks at its edges."""
    return _EDGES.sub("", text)


def _matched(labelled: list[Labelled]) -> list[Pair]:
    questions = _by_number([part for part in labelled if part.kind == "question"])
    answers = _by_number([part for part in labelled if part.kind == "answer"])
    if not answers:
        return [_split(number, question) for number, question in questions.items()]
    pairs = list[Pair]()
    for number, question in questions.items():
        if not clean(answers.get(number, "")):
            raise AnswerError(f"question {number} has no answer")
        pairs.append(_pair(question, answers[number]))
    if lost := sorted(set(answers) - set(questions)):
        raise AnswerError(f"answer {lost[0]} has no question")
    return pairs


def _by_number(parts: list[Labelled]) -> dict[int, str]:
    """Texts by their numbers, in order; by their places when numbers are missing or stand there twice."""
    numbers = [part.number for part in parts]
    if None in numbers or len(set(numbers)) < len(numbers):
        return {place: part.text for place, part in enumerate(parts, start=1)}
    return {part.number or 0: part.text for part in sorted(parts, key=lambda part: part.number or 0)}


def _split(number: int, text: str) -> Pair:
    """A question and an answer that stand in one item: "What is shown? A cat."."""
    mark = _QUESTION_MARK.search(text)
    if mark is None or not clean(text[mark.end() :]):
        raise AnswerError(f"question {number} has no answer")
    return _pair(text[: mark.end()], text[mark.end() :])


def _pair(question: str, answer: str) -> Pair:
    if not clean(question):
        raise AnswerError("a question is empty")
    return Pair(clean(question), clean(answer))
