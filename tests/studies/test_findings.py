"""A finding appears where the answers show it, and only there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from opabinia.evaluation.statistics.comparing import holm, paired_difference
from opabinia.studies.answers import SweepAnswers, Trial
from opabinia.studies.config import Finding, Side
from opabinia.studies.findings import Checked, check_findings
from tests.studies.answered import answered, trial

SWEEP = answered({"good": 0.8, "bad": 0.4, "like_good": 0.8})


def finding(better: Side | str, than: Side | str, *, on: str = "average", within: float | None = None) -> Finding:
    return Finding.model_validate({"says": "it", "better": better, "than": than, "on": on, "within": within})


def checked(*findings: Finding, sweep: SweepAnswers = SWEEP) -> list[Checked]:
    return check_findings(findings, sweep)


def test_what_is_better_by_far_appears_and_turned_around_the_opposite_does() -> None:
    there, back = checked(finding("good", "bad"), finding("bad", "good"))
    assert (there.verdict, back.verdict) == ("appears", "the opposite appears")
    assert there.difference.points == -back.difference.points > 0


def test_what_is_alike_cannot_be_told_to_be_better() -> None:
    (one,) = checked(finding("good", "like_good"))
    assert (one.verdict, one.difference.points) == ("cannot be told", 0)


def test_p_values_are_corrected_for_all_findings_that_say_which_is_better() -> None:
    found = checked(finding("good", "bad"), finding("good", "like_good", within=5), finding("like_good", "bad"))
    expected = holm([found[0].difference.p, found[2].difference.p])
    assert [one.corrected_p for one in found] == [expected[0], None, expected[1]]


@pytest.mark.parametrize(
    ("than", "within", "verdict"),
    [("like_good", 30, "appears"), ("bad", 5, "does not appear"), ("bad", 40, "cannot be told")],
)
def test_that_two_are_alike_is_decided_by_the_whole_interval(than: str, within: float, verdict: str) -> None:
    (one,) = checked(finding("good", than, within=within))
    assert one.verdict == verdict


def test_a_family_is_compared_by_itself() -> None:
    (one,) = checked(finding("good", "bad", on="knowledge"))
    good, bad = (SWEEP.credits(Side(configuration=name)).of_family("knowledge") for name in ("good", "bad"))
    assert one.difference == paired_difference(good, bad)


def test_a_family_that_was_not_asked_is_one_line() -> None:
    with pytest.raises(ValueError, match=r"no question of ocr_chart was asked; add it to benchmark\.families"):
        checked(finding("good", "bad", on="ocr_chart"))


def test_the_same_models_with_and_without_the_image_are_paired_by_seed() -> None:
    """Each seed's model gains exactly as much, so that nothing is left to vary over seeds, however different the seeds are."""

    def of_seed(seed: int) -> Trial:
        drawn = trial("a", seed, 0.0)
        blind = np.tile([1.0, 0.0, 0.0, 0.0], 20) if seed else np.zeros(80)
        image = np.clip(blind + np.tile([0.0, 1.0, 0.0, 0.0], 20), 0, 1)
        return Trial(drawn.report, drawn.checkpoint, drawn.questions, drawn.words, {"image": image, "blind": blind})

    sweep = SweepAnswers({"a": {seed: of_seed(seed) for seed in range(3)}}, {})
    (paired,) = checked(finding("a", Side(configuration="a", asked="blind")), sweep=sweep)
    seen, blind = (sweep.credits(Side(configuration="a", asked=way)) for way in ("image", "blind"))
    unpaired = paired_difference(seen, blind)
    assert paired.difference.points == pytest.approx(unpaired.points) == 25
    assert paired.difference.high - paired.difference.low < (unpaired.high - unpaired.low) / 2


def test_one_published_benchmark_is_compared_by_itself() -> None:
    drawn = trial("a", 0, 0.0)
    questions = tuple(replace(one, benchmark="gqa" if n % 2 else "mmmu") for n, one in enumerate(drawn.questions))
    earned = {"image": np.tile([0.0, 1.0], 40), "blind": np.zeros(80)}
    sweep = SweepAnswers({"a": {0: replace(drawn, questions=questions, earned=earned)}}, {})
    on = [finding("a", Side(configuration="a", asked="blind"), on=benchmark) for benchmark in ("gqa", "mmmu")]
    assert [one.difference.points for one in check_findings(on, sweep)] == [100, 0]
    with pytest.raises(ValueError, match=r"no question of ai2d was asked; add it to benchmark\.files"):
        check_findings([finding("a", "a", on="ai2d")], sweep)
