from __future__ import annotations

import pytest

from opabinia.evaluation.benchmarks.catalogue import BENCHMARKS
from opabinia.evaluation.benchmarks.composition import raw_scores
from opabinia.evaluation.questions import Question
from opabinia.evaluation.scoring import family_scores, random_guess

YES_NO = ("Yes", "No")


def asked(
    benchmark: str,
    number: int,
    *,
    task: str = "task",
    group: str = "",
    source: str = "source",
    choices: tuple[str, ...] = YES_NO,
    answer: str = "(A)",
) -> Question:
    family = BENCHMARKS[benchmark].category
    return Question(str(number), family, task, "", None, "?", choices, answer, source, benchmark, (), group)


def mme(subtask: str, pairs: int) -> list[Question]:
    return [
        asked("mme_perception", 2 * n + half, task=subtask, group=f"{subtask}/{n}")
        for n in range(pairs)
        for half in (0, 1)
    ]


def test_mme_adds_accuracy_and_accuracy_plus_of_every_subtask() -> None:
    # count: 3 of 4 questions, 1 of 2 pictures: 75 + 50. OCR: 1 of 2, 0 of 1: 50 + 0. Of ten subtasks like these: 10 · 175 / 2.
    questions = [*mme("count", 2), *mme("OCR", 1)]
    score = raw_scores(list(zip(questions, [1, 1, 1, 0, 1, 0], strict=True)))["mme_perception"]
    assert score.points == pytest.approx(10 * (125 + 50) / 2)
    assert score.parts == pytest.approx({"count": 62.5, "OCR": 25.0})
    assert score.questions == 6


def test_subtasks_of_mme_count_alike_whatever_their_sizes() -> None:
    questions = [*mme("count", 9), *mme("OCR", 1)]
    score = raw_scores(list(zip(questions, [1.0] * 18 + [0.0] * 2, strict=True)))["mme_perception"]
    assert score.points == pytest.approx(1000)


def test_mmvp_counts_pairs_that_are_right_as_a_whole() -> None:
    questions = [asked("mmvp", n, group=str(n // 2)) for n in range(6)]
    score = raw_scores(list(zip(questions, [1, 1, 1, 0, 0, 0], strict=True)))["mmvp"]
    assert score.points == pytest.approx(100 / 3)
    assert score.parts["questions"] == 50.0


def test_mmbench_counts_questions_that_are_right_in_every_rotation() -> None:
    questions = [*(asked("mmbench", n, group="7") for n in range(4)), asked("mmbench", 4, group="8")]
    assert raw_scores(list(zip(questions, [1, 1, 1, 0, 1], strict=True)))["mmbench"].points == 50.0


def test_the_halves_of_cv_bench_are_means_over_sources_and_the_whole_is_their_mean() -> None:
    # 2D: COCO 8 of 8, ADE20K 0 of 2; 3D: Omni3D 1 of 4.
    coco = [asked("cv_bench_2d", n, task="Count", source="COCO") for n in range(8)]
    ade = [asked("cv_bench_2d", n, task="Relation", source="ADE20K") for n in range(8, 10)]
    omni = [asked("cv_bench_3d", n, task="Depth", source="Omni3D") for n in range(10, 14)]
    scores = family_scores([*coco, *ade, *omni], [1.0] * 8 + [0.0] * 2 + [1.0, 0.0, 0.0, 0.0])
    assert scores.tasks == {"vision_centric/cv_bench_2d": 50.0, "vision_centric/cv_bench_3d": 25.0}
    assert scores.parts["vision_centric/cv_bench"] == 37.5
    assert scores.parts["vision_centric/cv_bench_2d/COCO"] == 100.0
    assert scores.parts["vision_centric/cv_bench_2d/Count"] == 100.0
    assert scores.parts["vision_centric/cv_bench_2d/Relation"] == 0.0
    assert scores.families == {"vision_centric": 37.5}
    assert scores.questions == {"vision_centric": 14}


def test_pope_is_accuracy_with_precision_recall_and_f1_of_yes() -> None:
    # "yes" is right 4 times and found 3 times, "no" is right 6 times and missed twice: precision 3/5, recall 3/4.
    questions = [asked("pope", n, answer="(A)" if n < 4 else "(B)") for n in range(10)]
    score = raw_scores(list(zip(questions, [1, 1, 1, 0, 1, 1, 1, 1, 0, 0], strict=True)))["pope"]
    assert score.points == pytest.approx(70.0)
    assert score.parts == pytest.approx({"precision": 60.0, "recall": 75.0, "f1": 100 * 2 / 3})


def test_a_model_that_never_says_yes_has_no_f1() -> None:
    questions = [asked("pope", n, answer="(A)" if n < 1 else "(B)") for n in range(2)]
    assert raw_scores([(questions[0], 0.0), (questions[1], 1.0)])["pope"].parts["f1"] == 0.0


def test_partial_credit_counts_as_it_is() -> None:
    questions = [asked("doc_vqa", n, choices=(), answer="x") for n in range(2)]
    assert raw_scores(list(zip(questions, [0.75, 0.0], strict=True)))["doc_vqa"].points == pytest.approx(37.5)


def test_points_are_in_the_benchmarks_own_scale() -> None:
    questions = [asked("ocr_bench", n, choices=(), answer="x") for n in range(4)]
    scores = family_scores(questions, [1.0, 0.0, 0.0, 0.0])
    assert scores.parts["ocr_chart/ocr_bench/raw"] == 250.0
    assert scores.tasks["ocr_chart/ocr_bench"] == 25.0


def test_guessing_scores_what_the_catalogue_says() -> None:
    questions = [
        *mme("count", 3),
        *mme("OCR", 1),
        *(asked("mmvp", n, group=str(n // 2)) for n in range(4)),
        *(asked("pope", n) for n in range(3)),
        *(asked("gqa", n, choices=(), answer="x") for n in range(3)),
    ]
    guess = random_guess(questions).tasks
    for name in ("mme_perception", "mmvp", "pope", "gqa"):
        assert guess[f"{BENCHMARKS[name].category}/{name}"] == BENCHMARKS[name].guess


def test_guessing_among_choices_is_their_mean_chance_and_rotations_multiply() -> None:
    four, two = ("a", "b", "c", "d"), ("a", "b")
    seed = [asked("seed_image", 0, choices=four), asked("seed_image", 1, choices=two)]
    rotations = [asked("mmbench", n, choices=two, group="1") for n in range(2)]
    guess = random_guess([*seed, *rotations]).tasks
    assert guess == pytest.approx({"general/seed_image": 37.5, "general/mmbench": 25.0})


def test_only_benchmarks_of_the_study_enter_a_category() -> None:
    questions = [asked("gqa", 0, choices=(), answer="x"), asked("pope", 0)]
    scores = family_scores(questions, [1.0, 0.0])
    assert scores.families == {"general": 100.0}
    assert scores.tasks == {"general/gqa": 100.0, "general/pope": 0.0}
