from __future__ import annotations

import pytest

from opabinia.evaluation.scoring import family_scores, random_guess
from tests.evaluation.specimens import question

# 2D: COCO 8 of 8, ADE20K 0 of 2; 3D: Omni3D 1 of 4. A mean over questions would be 9/14 = 64.3.
VISION = [
    *(question(n, family="vision_centric", task="Count", kind="2D", source="COCO") for n in range(8)),
    *(question(n, family="vision_centric", task="Relation", kind="2D", source="ADE20K") for n in range(8, 10)),
    *(question(n, family="vision_centric", task="Depth", kind="3D", source="Omni3D") for n in range(10, 14)),
]
VISION_MARKS = [True] * 8 + [False] * 2 + [True, False, False, False]


def test_vision_centric_follows_cv_bench_sources_in_2d_then_2d_and_3d() -> None:
    scores = family_scores(VISION, VISION_MARKS)
    assert scores.parts == {
        "vision_centric/2D/COCO": 100.0,
        "vision_centric/2D/ADE20K": 0.0,
        "vision_centric/2D": 50.0,
        "vision_centric/3D/Omni3D": 25.0,
        "vision_centric/3D": 25.0,
    }
    assert scores.families == {"vision_centric": 37.5}


def test_within_a_source_cv_bench_pools_questions_over_tasks() -> None:
    asked = [
        *(question(n, family="vision_centric", task="Count", kind="2D", source="COCO") for n in range(3)),
        question(3, family="vision_centric", task="Relation", kind="2D", source="COCO"),
    ]
    assert family_scores(asked, [True, True, True, False]).families["vision_centric"] == pytest.approx(75.0)


def test_the_other_families_are_the_plain_mean_of_their_tasks() -> None:
    asked = [*(question(n, task="colour") for n in range(9)), question(9, task="shape")]
    scores = family_scores(asked, [True] * 9 + [False])
    assert scores.families == {"general": 50.0}
    assert scores.tasks == {"general/colour": 100.0, "general/shape": 0.0}


def test_the_average_is_the_plain_mean_of_the_families_whatever_their_sizes() -> None:
    asked = [*(question(n) for n in range(9)), question(9, family="knowledge", task="fact")]
    scores = family_scores(asked, [True] * 9 + [False])
    assert scores.average == 50.0
    assert scores.questions == {"general": 9, "knowledge": 1}


def test_the_vision_average_leaves_knowledge_out() -> None:
    asked = [question(0), question(1, family="ocr_chart"), question(2, family="knowledge")]
    assert family_scores(asked, [True, False, True]).vision() == 50.0
    assert family_scores(asked[2:], [True]).vision() is None


def test_guessing_is_composed_by_the_same_formulas() -> None:
    two, four = ("yes", "no"), ("1", "2", "3", "4")
    asked = [
        *(question(n, family="vision_centric", task="Depth", kind="3D", choices=two) for n in range(9)),
        question(9, family="vision_centric", task="Count", kind="2D", choices=four),
        *(question(n, task="existence", choices=two) for n in range(10, 15)),
        question(15, task="colour", choices=four),
        question(16, family="ocr_chart", task="digit", choices=()),
    ]
    guess = random_guess(asked)
    assert guess.families == {"vision_centric": 37.5, "general": 37.5, "ocr_chart": 0.0}
    assert guess.average == 25.0


def test_marks_must_match_the_questions() -> None:
    with pytest.raises(ValueError, match="1 marks for 14 questions"):
        family_scores(VISION, [True])
    with pytest.raises(ValueError, match="no questions"):
        family_scores([], [])
