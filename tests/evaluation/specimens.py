"""Small questions, scores and reports that several specifications of this room use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from opabinia.evaluation.questions import Question
from opabinia.evaluation.report import Status, TrialReport
from opabinia.evaluation.scoring import FamilyScores
from opabinia.models.answering import Answer, Prompt

LETTERS = "ABCDEFGHIJ"


def question(
    number: int = 0,
    *,
    family: str = "general",
    task: str = "colour",
    kind: str = "2D",
    source: str = "flat",
    choices: tuple[str, ...] = ("red", "blue", "green"),
    right: int = 0,
    image: str | None = None,
) -> Question:
    answer = f"({LETTERS[right]})" if choices else "red"
    return Question(str(number), family, task, kind, image, f"question {number} ?", choices, answer, source)


def scores(general: float, knowledge: float, ocr_chart: float, vision_centric: float) -> FamilyScores:
    families = {
        "general": general,
        "knowledge": knowledge,
        "ocr_chart": ocr_chart,
        "vision_centric": vision_centric,
    }
    return FamilyScores(families, {"general/colour": general}, {"vision_centric/2D": vision_centric}, {"general": 3})


def report(
    trial_id: str = "t0",
    *,
    encoders: tuple[str, ...] = ("burgess/clip-vit",),
    connector: str = "sva",
    seed: int = 0,
    status: Status = "finished",
    with_image: FamilyScores | None = None,
    blind: FamilyScores | None = None,
) -> TrialReport:
    return TrialReport(
        trial_id=trial_id,
        encoders=encoders,
        connector=connector,
        seed=seed,
        status=status,
        steps=600,
        seconds=31.5,
        with_image=with_image,
        blind=blind,
        random=scores(25, 25, 25, 25) if with_image else None,
        prompt_kind="text",
        scorer="choice-match-1",
        evaluator_version=1,
    )


@dataclass
class Scripted:
    """Answers with what it was told for each question's text, and remembers what it was asked."""

    replies: dict[str, str]
    asked: list[Prompt] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)

    def answer(
        self,
        prompts: Sequence[Prompt],
        *,
        max_new_tokens: int,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int | None = None,
    ) -> list[Answer]:
        self.asked += prompts
        self.batches.append(len(prompts))
        texts = [prompt.turns[-1].text.removeprefix("<image>\n") for prompt in prompts]
        return [Answer(self.replies[text], 5, 1, "stop") for text in texts]
