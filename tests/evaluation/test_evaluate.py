from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from opabinia.data.records import Turn
from opabinia.evaluation.evaluate import evaluate, kind_of
from opabinia.evaluation.matching import SCORER
from opabinia.evaluation.scoring import EVALUATOR_VERSION
from tests.evaluation.specimens import Scripted, question

COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (0, 0, 0))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for number, colour in enumerate(COLOURS):
        Image.new("RGB", (4, 4), colour).save(tmp_path / f"{number}.png")
    return tmp_path


ASKED = [question(n, task=f"task {n % 2}", image=f"{n}.png", right=n % 3) for n in range(5)]
RIGHT = {q.question: q.right_text for q in ASKED}


def test_answers_keep_the_order_of_the_questions_over_batches(images: Path) -> None:
    replies = {q.question: f"reply {q.id}" for q in ASKED}
    answerer = Scripted(replies)
    result = evaluate(answerer, ASKED, images, with_image=True, batch=2)
    assert [mark.question.id for mark in result.answers] == ["0", "1", "2", "3", "4"]
    assert [mark.answer for mark in result.answers] == [f"reply {n}" for n in range(5)]
    assert answerer.batches == [2, 2, 1]
    assert [prompt.image.getpixel((0, 0)) for prompt in answerer.asked if prompt.image] == list(COLOURS)


def test_a_model_that_knows_everything_scores_100_and_one_mistake_costs_its_task(images: Path) -> None:
    assert evaluate(Scripted(RIGHT), ASKED, images, with_image=True).scores.average == 100.0
    wrong = Scripted({**RIGHT, ASKED[1].question: "no idea"})
    scores = evaluate(wrong, ASKED, images, with_image=True).scores
    assert scores.tasks == {"general/task 0": 100.0, "general/task 1": 50.0}
    assert scores.average == 75.0


def test_blind_differs_from_sighted_in_the_placeholder_and_the_image_alone(images: Path) -> None:
    sighted, blind = Scripted(RIGHT), Scripted(RIGHT)
    evaluate(sighted, ASKED, images, with_image=True)
    evaluate(blind, ASKED, images, with_image=False)
    assert sighted.asked[0].turns == (Turn("user", "<image>\nquestion 0 ?"),)
    assert blind.asked[0].turns == (Turn("user", "question 0 ?"),)
    assert all(prompt.image is not None for prompt in sighted.asked)
    assert not any(prompt.has_picture for prompt in blind.asked)


def test_a_question_without_an_image_is_asked_in_words_alone(images: Path) -> None:
    answerer = Scripted({"question 9 ?": "red"})
    evaluate(answerer, [question(9)], images, with_image=True)
    assert answerer.asked[0].turns == (Turn("user", "question 9 ?"),)
    assert not answerer.asked[0].has_picture


def test_stored_features_stand_in_for_images(tmp_path: Path) -> None:
    answerer = Scripted(RIGHT)
    keys = {f"{n}.png": f"key {n}" for n in range(5)}
    evaluate(answerer, ASKED, tmp_path / "no images here", with_image=True, image_keys=keys)
    assert [prompt.image_key for prompt in answerer.asked] == [f"key {n}" for n in range(5)]
    with pytest.raises(ValueError, match=r"4\.png has no stored features"):
        evaluate(answerer, ASKED, tmp_path, with_image=True, image_keys={k: v for k, v in keys.items() if k != "4.png"})


def test_where_only_some_encoders_have_stored_features_images_come_with_their_keys(images: Path) -> None:
    answerer = Scripted(RIGHT)
    keys = {f"{n}.png": f"key {n}" for n in range(5)}
    evaluate(answerer, ASKED, images, with_image=True, image_keys=keys, keys_alone=False)
    assert [prompt.image_key for prompt in answerer.asked] == [f"key {n}" for n in range(5)]
    assert [prompt.image.getpixel((0, 0)) for prompt in answerer.asked if prompt.image] == list(COLOURS)


def test_the_letter_prompt_lists_the_options(images: Path) -> None:
    asked = question(0, image="0.png")
    text = (
        "question 0 ?\n(A) red\n(B) blue\n(C) green\nAnswer with the option's letter from the given choices directly."
    )
    answerer = Scripted({text: "A"})
    result = evaluate(answerer, [asked], images, with_image=True, prompt_kind="letter")
    assert result.scores.average == 100.0
    assert (result.prompt_kind, result.scorer, result.evaluator_version) == ("letter", SCORER, EVALUATOR_VERSION)


def test_a_broken_image_is_named(images: Path) -> None:
    (images / "2.png").write_bytes(b"not an image")
    with pytest.raises(ValueError, match=r"benchmark\.images: .*2\.png cannot be read"):
        evaluate(Scripted(RIGHT), ASKED, images, with_image=True)


def test_too_few_answers_are_an_error_not_a_shift(images: Path) -> None:
    class Forgetful(Scripted):
        def answer(self, prompts, **settings):
            return super().answer(prompts, **settings)[1:]

    with pytest.raises(ValueError, match="4 answers to 5 questions"):
        evaluate(Forgetful(RIGHT), ASKED, images, with_image=True)


@pytest.mark.parametrize(("choices", "kind"), [(("red", "blue"), "letter"), ((), "word")])
def test_open_questions_of_a_published_benchmark_are_asked_in_their_own_way(
    choices: tuple[str, ...], kind: str
) -> None:
    asked = replace(question(choices=choices), benchmark="mmmu")
    assert kind_of(asked) == kind
