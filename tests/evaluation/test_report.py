from __future__ import annotations

import json
from dataclasses import replace

import pytest

from opabinia.evaluation.report import champion, comparable, from_json, rank, score_metrics, to_json, vision_gain
from tests.evaluation.specimens import report, scores

GOOD = report("good", with_image=scores(80, 90, 70, 60), blind=scores(40, 88, 20, 30))
FAIR = report("fair", with_image=scores(70, 90, 60, 60), blind=scores(40, 88, 20, 30))
HALTED = report("halted", status="stopped", with_image=scores(99, 99, 99, 99), blind=scores(40, 88, 20, 30))
BROKEN = report("broken", status="failed")


def test_the_gain_is_the_mean_over_the_families_that_need_the_image() -> None:
    # (40 + 50 + 30) / 3; knowledge, where the image adds 2, is left out.
    assert vision_gain(GOOD) == pytest.approx(40.0)
    assert vision_gain(BROKEN) is None
    assert vision_gain(replace(GOOD, blind=None)) is None


def test_trials_are_ranked_by_the_mean_of_the_four_families_and_failures_come_last() -> None:
    assert [r.trial_id for r in rank([BROKEN, FAIR, GOOD])] == ["good", "fair", "broken"]


def test_equal_scores_are_ranked_by_their_gain() -> None:
    keener = replace(FAIR, trial_id="keener", blind=scores(10, 88, 20, 30))
    assert [r.trial_id for r in rank([FAIR, keener])] == ["keener", "fair"]


def test_only_a_finished_trial_is_champion() -> None:
    winner = champion([HALTED, FAIR, GOOD, BROKEN])
    assert winner is not None
    assert winner.trial_id == "good"
    assert champion([HALTED, BROKEN]) is None


@pytest.mark.parametrize("trial", [GOOD, HALTED, BROKEN], ids=lambda trial: trial.trial_id)
def test_json_gives_the_same_report_back(trial) -> None:
    again = from_json(to_json(trial))
    assert again == trial
    assert again.score == trial.score


def test_json_holds_what_the_scores_depend_on() -> None:
    stored = json.loads(to_json(GOOD))
    assert (stored["prompt_kind"], stored["scorer"], stored["evaluator_version"]) == ("text", "choice-match-1", 1)


def test_a_damaged_report_is_one_line_that_names_the_field() -> None:
    damaged = to_json(GOOD).replace('"finished"', '"done"')
    with pytest.raises(ValueError, match=r"trial report: status: .*score the trial again") as refusal:
        from_json(damaged)
    assert "\n" not in str(refusal.value)
    with pytest.raises(ValueError, match="trial report: the file"):
        from_json("{")


def test_metrics_name_every_score() -> None:
    metrics = score_metrics(GOOD)
    assert metrics["with_image/general"] == 80
    assert metrics["with_image/average"] == 75
    assert metrics["with_image/general/colour"] == 80
    assert metrics["with_image/vision_centric/2D"] == 60
    assert metrics["blind/ocr_chart"] == 20
    assert metrics["random/average"] == 25
    assert metrics["gain/ocr_chart"] == 50
    assert metrics["gain/vision"] == pytest.approx(40.0)
    assert score_metrics(BROKEN) == {}


def test_scores_made_differently_are_not_comparable() -> None:
    assert comparable([GOOD, FAIR, BROKEN])
    assert not comparable([GOOD, replace(FAIR, prompt_kind="letter")])
    assert not comparable([GOOD, replace(FAIR, evaluator_version=2)])
