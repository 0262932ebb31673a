"""From the fields that all formats share to a question."""

from __future__ import annotations

from collections.abc import Sequence

from opabinia.data.records import PLACEHOLDER
from opabinia.evaluation.benchmarks.catalogue import BENCHMARKS
from opabinia.evaluation.benchmarks.formats.rows import Row
from opabinia.evaluation.questions import LETTERS, Question


def multiple_choice(
    row: Row,
    benchmark: str,
    *,
    id: str,
    question: str,
    choices: Sequence[str],
    answer: str,
    image: str | None,
    task: str = "",
    type: str = "",
    source: str = "",
    group: str = "",
    scene: str = "",
) -> Question:
    """A question with choices; `answer` is "(B)". Raises ValueError where there are fewer than two choices or too many."""
    if not 2 <= len(choices) <= len(LETTERS):
        raise row.wrong(f"{len(choices)} choices; a question offers 2 to {len(LETTERS)}, fetch the file again")
    return Question(
        id=id,
        family=BENCHMARKS[benchmark].category,
        task=task or benchmark,
        type=type,
        image=image,
        question=question.replace(PLACEHOLDER, "").strip(),
        choices=tuple(choices),
        answer=answer,
        source=source or BENCHMARKS[benchmark].dataset,
        benchmark=benchmark,
        group=group,
        scene=_scene(benchmark, scene),
    )


def open_question(
    row: Row,
    benchmark: str,
    *,
    id: str,
    question: str,
    answers: Sequence[str],
    image: str | None,
    task: str = "",
    source: str = "",
    scene: str = "",
) -> Question:
    """A question whose answer is words. Raises ValueError where no answer is known, as in test splits."""
    if not answers:
        raise row.wrong("there is no answer; take the split whose answers are published")
    return Question(
        id=id,
        family=BENCHMARKS[benchmark].category,
        task=task or benchmark,
        type="",
        image=image,
        question=question.replace(PLACEHOLDER, "").strip(),
        choices=(),
        answer=answers[0],
        source=source or BENCHMARKS[benchmark].dataset,
        benchmark=benchmark,
        answers=tuple(answers),
        scene=_scene(benchmark, scene),
    )


def _scene(benchmark: str, name: str) -> str:
    """Names of pictures are unique within a published file alone."""
    return f"{BENCHMARKS[benchmark].file}/{name}" if name else ""


YES_NO = ("Yes", "No")


def yes_or_no(row: Row, text: str) -> str:
    """ "Yes" as "(A)", "no" as "(B)". Raises ValueError for anything else."""
    answers = {"yes": "(A)", "no": "(B)"}
    if text.casefold() not in answers:
        raise row.wrong(f"the answer is {text!r}; it is yes or no, fetch the file again")
    return answers[text.casefold()]
