from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from opabinia.evaluation.report import TrialReport
from opabinia.evaluation.samples import AnswerPair
from opabinia.evaluation.statistics.comparison_page import comparison_json, comparison_markdown
from opabinia.evaluation.statistics.credits import Credits, credits_of
from opabinia.evaluation.statistics.sweep_comparison import compare_sweep, configuration, finished
from tests.evaluation.specimens import question, report
from tests.evaluation.statistics.specimens import World, burgess, trial

SKILLS = {"mim": 0.2, "clip": 1.2, "dino": 0.25}


def sweep(seeds: int = 3) -> list[tuple[TrialReport, Credits]]:
    """Seeds within no configuration, as sweeps list them: all configurations of the first seed first."""
    rng = np.random.default_rng(0)
    questions = burgess(80, rng)
    hardness = World().hardness(questions, rng)
    return [
        trial(name, seed, World(skill=skill, seed=0.05).answers(questions, hardness, 1, rng))
        for seed in range(seeds)
        for name, skill in SKILLS.items()
    ]


def test_seeds_of_one_configuration_are_put_together() -> None:
    trials = sweep()
    assert configuration(trials[0][0]) == "mim.sva"
    assert {name: credits.seeds for name, credits in finished(trials).items()} == {
        "mim.sva": 3,
        "clip.sva": 3,
        "dino.sva": 3,
    }
    assert configuration(report("odd name", seed=1)) == "odd name"


def test_the_first_configuration_listed_is_the_baseline_and_the_best_comes_first() -> None:
    compared = compare_sweep(sweep())
    assert compared.baseline == "mim.sva"
    assert next(iter(compared.scores)) == "clip.sva"
    assert compared.comparisons[0].name == "clip.sva"
    assert compared.comparisons[0].corrected_p < 0.05 < compared.comparisons[1].corrected_p
    assert (compared.images, compared.questions) == (80, 320)
    assert compared.noise.per_seed is not None


def test_a_score_is_the_mean_of_its_trials_scores() -> None:
    trials = sweep()
    reported = [one.score for one, _ in trials if one.encoders == ("burgess/clip",)]
    assert compare_sweep(trials).scores["clip.sva"].score == pytest.approx(np.mean(reported))


def test_stopped_trials_are_left_out_and_named() -> None:
    trials = sweep()
    stopped, credits = trial("mim", 0, trials[0][1], "stopped")
    compared = compare_sweep([(stopped, credits), *trials[1:]])
    assert compared.left_out == {"mim.sva.s0": "stopped"}
    assert compared.baseline == "clip.sva"
    assert compared.scores["mim.sva"].seeds == 2


def test_another_baseline_can_be_named_but_must_have_finished() -> None:
    assert compare_sweep(sweep(), "dino.sva").baseline == "dino.sva"
    with pytest.raises(ValueError, match=r"'sam\.sva' has no finished trial; name one of mim\.sva, clip\.sva"):
        compare_sweep(sweep(), "sam.sva")
    with pytest.raises(ValueError, match="no other configuration finished"):
        compare_sweep(sweep()[:1])
    with pytest.raises(ValueError, match="has no finished trial; name one of none"):
        compare_sweep([])


def test_what_was_asked_in_different_words_is_not_compared() -> None:
    (first, credits), *others = sweep()
    with pytest.raises(ValueError, match="scored with different prompts"):
        compare_sweep([(replace(first, prompt_kind="letter"), credits), *others])


def test_the_page_says_who_is_better_how_sure_and_what_more_would_take() -> None:
    page = comparison_markdown(compare_sweep(sweep()), "toy")
    title, _, heading, rule, best, second, *_ = page.splitlines()
    assert title == "# toy: every configuration against mim.sva"
    assert heading.count("|") == rule.count("|") == best.count("|") == second.count("|") == 13
    assert "| clip.sva | 3 |" in best and "| better |" in best
    assert "| baseline |" in page and "| not shown |" in page
    assert "80 images (320 questions)" in page
    assert "| difference, points | seeds of each, 80 images | seeds of each, 320 images |" in page
    assert "One seed" not in page and "Not counted" not in page


def test_a_page_of_single_seeds_warns_that_it_compares_trained_models() -> None:
    page = comparison_markdown(compare_sweep(sweep(seeds=1)), "toy")
    assert "**One seed each: these are differences between trained models.**" in page
    assert "| difference of two trained models, points | images | questions |" in page


def test_a_page_names_who_has_one_seed_and_who_did_not_finish() -> None:
    trials = sweep()
    stopped = [trial("dino", report.seed, credits, "stopped") for report, credits in (trials[5], trials[8])]
    page = comparison_markdown(compare_sweep([*trials[:5], *trials[6:8], *stopped]), "toy")
    assert "holds no variation over seeds: dino.sva." in page
    assert "Not counted, as they did not finish: dino.sva.s1 (stopped), dino.sva.s2 (stopped)" in page


def test_the_numbers_are_there_to_compute_with() -> None:
    compared = compare_sweep(sweep())
    read = json.loads(comparison_json(compared))
    assert read["baseline"] == "mim.sva"
    assert read["comparisons"][0]["average"]["points"] == compared.comparisons[0].average.points
    assert read["scores"]["clip.sva"]["low"] == compared.scores["clip.sva"].low


def test_credit_counts_where_a_scorer_gives_parts_and_right_or_wrong_where_it_is_not_known() -> None:
    pairs = [
        AnswerPair(question(0), "", True, "", False, credit=0.6, blind_credit=0.0),
        AnswerPair(question(1), "", True, "", False),
        AnswerPair(question(2), "", False, "", False),
    ]
    assert credits_of(pairs).earned.tolist() == [[0.6, 1.0, 0.0]]
    with pytest.raises(ValueError, match="no question was answered"):
        credits_of([])
