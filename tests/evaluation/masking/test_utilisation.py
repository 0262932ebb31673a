from __future__ import annotations

from dataclasses import replace

import pytest

from opabinia.evaluation.masking.masks_table import render_masks
from opabinia.evaluation.masking.stand_ins import Masking
from opabinia.evaluation.masking.utilisation import MaskedScores, information_gap, utilisation
from tests.evaluation.specimens import scores

# General: whole 80; without a 40, without b 60. OCR: b does harm. Knowledge: nothing is ever right.
MASKED = MaskedScores(
    ("house/a", "house/b"),
    {
        ("house/a", "house/b"): scores(80, 0, 50, 30),
        ("house/a",): scores(60, 0, 60, 30),
        ("house/b",): scores(40, 0, 10, 30),
        (): scores(20, 0, 0, 30),
    },
)


def test_utilisation_is_the_share_that_is_lost_without_an_encoder() -> None:
    assert utilisation(MASKED, "house/a", "general") == pytest.approx(50.0)
    assert utilisation(MASKED, "house/b", "general") == pytest.approx(25.0)
    assert utilisation(MASKED, "house/a", "average") == pytest.approx(100 * (40 - 20) / 40)


def test_an_encoder_that_does_harm_is_below_nought() -> None:
    assert utilisation(MASKED, "house/b", "ocr_chart") == pytest.approx(-20.0)


def test_a_score_of_nought_has_no_share_to_lose() -> None:
    assert utilisation(MASKED, "house/a", "knowledge") is None
    assert information_gap(MASKED, "knowledge") is None


def test_the_gap_is_between_the_most_and_the_least_used() -> None:
    assert information_gap(MASKED, "general") == pytest.approx(25.0)
    assert information_gap(MASKED, "ocr_chart") == pytest.approx(80.0 + 20.0)
    assert information_gap(MASKED, "vision_centric") == 0.0


def test_the_table_ranks_subsets_and_gives_every_encoder_its_rates() -> None:
    cells = [" ".join(line.split()) for line in render_masks(MASKED).splitlines()]
    assert cells[0] == "score of general knowledge ocr_chart vision_centric average"
    assert cells[2:6] == [
        "a + b 80.0 0.0 50.0 30.0 40.0",
        "a 60.0 0.0 60.0 30.0 37.5",
        "b 40.0 0.0 10.0 30.0 20.0",
        "none 20.0 0.0 0.0 30.0 12.5",
    ]
    assert cells[9:12] == [
        "a +50.0 – +80.0 +0.0 +50.0",
        "b +25.0 – -20.0 +0.0 +6.2",
        "IG +25.0 – +100.0 +0.0 +43.8",
    ]


@pytest.mark.parametrize(
    ("masking", "words"), [("zero", "zeros"), ("mean", "the mean grid"), ("resample", "another picture's")]
)
def test_the_table_says_what_stood_in_for_the_others(masking: Masking, words: str) -> None:
    assert f"percent with {words} for the features" in render_masks(replace(MASKED, masking=masking))
