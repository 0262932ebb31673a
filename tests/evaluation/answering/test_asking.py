"""Answers are kept as they come; what is kept is not asked again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from opabinia.evaluation.answering import keys
from opabinia.evaluation.answering.asking import evaluate_kept
from opabinia.evaluation.answering.worker import Answering
from opabinia.evaluation.evaluate import Evaluation, evaluate
from opabinia.evaluation.questions import BenchmarkConfig, Question
from tests.evaluation.specimens import Scripted, question

ASKED = [question(n, task=f"task {n % 2}", image=f"{n // 2}.png" if n < 6 else None, right=n % 3) for n in range(7)]
REPLIES = {one.question: one.right_text if one.id != "3" else "no idea" for one in ASKED}


class Breaking(Scripted):
    """Answers so many batches and then is out of order."""

    left: int = 2

    def answer(self, prompts, **settings):
        if not self.left:
            raise MemoryError
        self.left -= 1
        return super().answer(prompts, **settings)


@pytest.fixture
def answering(tmp_path: Path) -> Answering:
    for number in range(3):
        Image.new("RGB", (4, 4), (80 * number, 0, 0)).save(tmp_path / f"{number}.png")
    benchmark = BenchmarkConfig(folder=str(tmp_path), images=str(tmp_path), batch=2, max_new_tokens=4)
    return Answering(tmp_path / "checkpoint", benchmark, tmp_path / "kept")


def ask(
    answering: Answering, answerer: Scripted, questions: list[Question] = ASKED, model: str = "m"
) -> tuple[Evaluation, Evaluation]:
    return evaluate_kept(answering, questions, model, processes=0, opened=lambda: answerer)


def test_scores_and_answers_are_those_of_asking_everything_in_order(answering: Answering) -> None:
    for kept, with_image in zip(ask(answering, Scripted(REPLIES)), (True, False), strict=True):
        plain = evaluate(Scripted(REPLIES), ASKED, Path(answering.benchmark.images), with_image=with_image)
        assert replace(kept, seconds=0) == replace(plain, seconds=0)


def test_each_thing_is_asked_once_with_its_own_picture(answering: Answering) -> None:
    answerer = Scripted(REPLIES)
    ask(answering, answerer, [*ASKED, replace(ASKED[0], id="again")])
    # Six with a picture and seven without, of which that without one is the same in both.
    assert len(answerer.asked) == 13
    assert max(answerer.batches) == 2
    seen = {prompt.turns[0].text: prompt.image for prompt in answerer.asked if prompt.image}
    for one in ASKED[:6]:
        picture = seen[f"<image>\n{one.question}"]
        assert picture.getpixel((0, 0)) == (80 * (int(one.id) // 2), 0, 0)


def test_a_picture_of_several_questions_of_a_batch_is_opened_once(answering: Answering) -> None:
    answerer = Scripted(REPLIES)
    ask(answering, answerer, ASKED[:2])
    first, second = (prompt.image for prompt in answerer.asked[:2])
    assert first is second is not None


def test_what_is_kept_is_not_asked_again(answering: Answering) -> None:
    before, idle = ask(answering, Scripted(REPLIES)), Scripted({})
    after = ask(answering, idle)
    assert not idle.asked
    assert [replace(one, seconds=0) for one in after] == [replace(one, seconds=0) for one in before]


def test_after_a_break_only_the_rest_is_asked(answering: Answering) -> None:
    broken = Breaking(REPLIES)
    with pytest.raises(MemoryError):
        ask(answering, broken)
    rest = Scripted(REPLIES)
    ask(answering, rest)
    asked = [(prompt.turns, prompt.has_picture) for prompt in [*broken.asked, *rest.asked]]
    assert (len(broken.asked), len(asked), len(set(asked))) == (4, 13, 13)


def test_a_line_that_was_cut_off_is_asked_again(answering: Answering) -> None:
    ask(answering, Scripted(REPLIES))
    (log,) = answering.kept.glob("*.answers.jsonl")
    log.write_bytes(log.read_bytes()[:-5])
    again = Scripted(REPLIES)
    ask(answering, again)
    assert len(again.asked) == 1


@pytest.mark.parametrize("change", ["model", "picture", "length"])
def test_another_model_picture_or_length_is_asked_anew(answering: Answering, change: str) -> None:
    ask(answering, Scripted(REPLIES), ASKED[:1])
    again = Scripted(REPLIES)
    if change == "picture":
        Image.new("RGB", (4, 4), (1, 2, 3)).save(Path(answering.benchmark.images) / "0.png")
        keys._content_digest.cache_clear()
    longer = answering.benchmark.model_copy(update={"max_new_tokens": 5})
    answering = replace(answering, benchmark=longer) if change == "length" else answering
    ask(answering, again, ASKED[:1], model="n" if change == "model" else "m")
    # Without the picture, nothing has changed with it.
    assert len(again.asked) == (1 if change == "picture" else 2)
