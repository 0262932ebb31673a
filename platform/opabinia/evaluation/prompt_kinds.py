"""How a question is put to the model; the kind is stored with every score, since scores of two kinds do not compare."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial

Asking = Callable[[str, Sequence[str]], str]
"""From the question and its choices to the text of the user's turn, without the image placeholder."""


def _question_alone(question: str, choices: Sequence[str]) -> str:
    return question


def _with_sentence(question: str, choices: Sequence[str], *, sentence: str) -> str:
    return f"{question}\n{_sentences()[sentence]}"


def _with_choices(question: str, choices: Sequence[str], *, sentence: str) -> str:
    """The options and the sentence; without options the question alone, as there is no letter to ask for."""
    options = "".join(f"\n({chr(ord('A') + index)}) {choice}" for index, choice in enumerate(choices))
    return f"{question}{options}\n{_sentences()[sentence]}" if choices else question


@cache
def _sentences() -> Mapping[str, str]:
    """The same sentences that training data are given."""
    from opabinia.data.system_prompts.table import SystemPromptConfig, prompt_table

    return prompt_table(SystemPromptConfig()).kinds


PROMPT_KINDS: Mapping[str, Asking] = {
    "text": _question_alone,
    "word": partial(_with_sentence, sentence="word"),
    "number": partial(_with_sentence, sentence="number"),
    "letter": partial(_with_choices, sentence="option"),
    "short": partial(_with_sentence, sentence="short"),
    "phrase": partial(_with_sentence, sentence="phrase"),
    "no-answer": partial(_with_sentence, sentence="no-answer"),
    "html": partial(_with_sentence, sentence="html"),
    "reasoning": partial(_with_choices, sentence="reasoning"),
    "unanswerable": partial(_with_sentence, sentence="unanswerable"),
    "letter-alone": partial(_with_choices, sentence="letter"),
}
"""The question alone, and the ten kinds of Tong et al. 2024, §5.3, in its order."""
