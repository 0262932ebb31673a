"""What there is to know of one benchmark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Category = Literal["general", "knowledge", "ocr_chart", "vision_centric"]

Rule = Literal["questions", "groups", "pairs_in_subtasks", "sources", "yes_no"]
"""From credits to a fraction of the full score.

questions: mean over questions. groups: mean over groups (MMVP's pairs, MMBench's rotations) whose every question is right.
pairs_in_subtasks: mean over subtasks of accuracy and of pairs that are right as a whole (MME). sources: mean over sources (CV-Bench).
yes_no: mean over questions, with precision, recall and F1 of "yes" beside it (POPE).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """A benchmark, or one of the scores that a benchmark's file gives: CV-Bench gives 2D and 3D."""

    title: str
    label: str
    """Its column's heading in the study's tables."""

    category: Category
    file: str
    """The name of its published format, and of its file in the settings; several benchmarks may share a file."""

    dataset: str
    """Where it is published, on the Hugging Face hub."""

    prompt: str
    """How its questions are asked: one of the prompt kinds."""

    scorer: str
    """How its answers are scored: one of the scorers."""

    open_prompt: str = ""
    """The same for its questions without choices, where that differs."""

    open_scorer: str = ""
    """The same for its questions without choices, where that differs."""

    full: float = 100.0
    """What a perfect model scores, in the benchmark's own points."""

    rule: Rule = "questions"
    guess: float | None = None
    """What guessing scores, in percent; None where it follows from how many choices the questions offer."""

    averaged: bool = True
    """Whether it is one of the sixteen columns that the study averages."""

    @property
    def scale(self) -> float:
        """What its own points are divided by before they are averaged: 20 for MME-Perception, 10 for OCRBench."""
        return self.full / 100
