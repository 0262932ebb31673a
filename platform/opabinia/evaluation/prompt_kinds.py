"""How a question is put to the model; the kind is stored with every score, since scores of two kinds do not compare."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence


def _question_alone(question: str, choices: Sequence[str]) -> str:
    return question


def _letters_asked(question: str, choices: Sequence[str]) -> str:
    if not choices:
        return question
    options = "\n".join(f"({chr(ord('A') + index)}) {choice}" for index, choice in enumerate(choices))
    return f"{question}\n{options}\nAnswer with the option's letter from the given choices directly."


PROMPT_KINDS: Mapping[str, Callable[[str, Sequence[str]], str]] = {
    "text": _question_alone,
    "letter": _letters_asked,
}
"""From the question and its choices to the text of the user's turn, without the image placeholder."""
