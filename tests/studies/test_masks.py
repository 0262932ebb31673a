"""What encoders are worth in trained models, over all seeds: by masking, and by their shares."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from opabinia.evaluation.masking.masks_file import save_masks
from opabinia.evaluation.masking.utilisation import Kept, MaskedScores
from opabinia.evaluation.questions import BenchmarkConfig
from opabinia.evaluation.scoring import family_scores
from opabinia.evaluation.shares.shares import EncoderShares
from opabinia.studies.answers import SweepAnswers, Trial
from opabinia.studies.config import Finding, Side
from opabinia.studies.findings import check_findings
from opabinia.studies.masks import masked_scores
from opabinia.studies.shares import share_rows
from tests.studies.answered import QUESTIONS, answered, trial

EYES = ("a/left", "a/right", "a/none")
EVERY = [kept for size in range(4) for kept in combinations(EYES, size)]
EVEN = np.array([float(number % 2) for number in range(len(QUESTIONS))])


def seen_by(kept: Kept) -> np.ndarray:
    """The left eye sees even questions, the right one odd ones, and the third is in the way of one in eight."""
    seen = ("a/left" in kept) * EVEN + ("a/right" in kept) * (1 - EVEN)
    harmed = np.arange(len(QUESTIONS)) % 8 == 0
    return np.where(harmed & ("a/none" in kept), 0.0, seen)


def three_eyed(seed: int) -> Trial:
    drawn = trial("eyes.mlp", seed, 0.0)
    masks = {kept: seen_by(kept) for kept in EVERY}
    return replace(
        drawn,
        report=replace(drawn.report, encoders=EYES),
        earned={**drawn.earned, "image": masks[EYES], **masks},
    )


SWEEP = SweepAnswers({"eyes.mlp": {seed: three_eyed(seed) for seed in range(3)}}, {})


def test_what_is_lost_without_an_encoder_is_in_points_and_in_percent_of_the_whole() -> None:
    lost = {(one.encoder, one.column): one for one in masked_scores(SWEEP).lost}
    left, right, harmful = (lost[eye, "average"] for eye in EYES)
    assert left.whole.score == pytest.approx(87.5)
    assert left.points.points == pytest.approx(50.0)
    assert left.rate == pytest.approx(100 * 50 / 87.5)
    assert right.points.points == pytest.approx(37.5)
    assert harmful.points.points == pytest.approx(-12.5)
    assert harmful.rate == pytest.approx(-100 * 12.5 / 87.5)


def test_the_information_gap_is_from_the_most_used_encoder_to_the_least() -> None:
    gaps = masked_scores(SWEEP).gaps["eyes.mlp"]
    assert gaps["average"] == pytest.approx(100 * (50 + 12.5) / 87.5)
    assert set(gaps) == {"average", "general", "knowledge"}


def test_subsets_are_ranked_and_all_there() -> None:
    subsets = masked_scores(SWEEP).subsets
    assert len(subsets) == 8
    assert subsets[0].name == "eyes.mlp, keeping a/left+a/right"
    assert subsets[0].intervals["average"].score == pytest.approx(100)
    assert subsets[-1].intervals["average"].score == 0


def test_a_finding_about_masked_encoders_names_them_in_any_order() -> None:
    finding = Finding(
        says="The third eye is in the way",
        better=Side(configuration="eyes.mlp", keeps=("a/right", "a/left")),
        than=Side(configuration="eyes.mlp"),
    )
    (checked,) = check_findings([finding], SWEEP)
    assert (checked.verdict, checked.difference.points) == ("appears", pytest.approx(12.5))


def test_a_sweep_of_single_encoders_is_one_line() -> None:
    alone = answered({"left.mlp": 0.5})
    with pytest.raises(ValueError, match="study: masks need a configuration of several encoders"):
        masked_scores(alone)
    with pytest.raises(ValueError, match="study: shares need a configuration of several encoders"):
        share_rows(alone)


def test_shares_are_the_mean_over_seeds_with_their_deviation() -> None:
    def shares(left: float) -> EncoderShares:
        rows = tuple((left, 1 - left) for _ in QUESTIONS)
        return EncoderShares("attention", EYES[:2], QUESTIONS, {"0": rows})

    trials = {seed: replace(three_eyed(seed), shares=shares(left)) for seed, left in enumerate((0.5, 0.6, 0.7))}
    rows = share_rows(SweepAnswers({"eyes.sva": trials}, {}))
    assert [(row.family, row.encoder) for row in rows] == [
        (family, eye) for family in ("general", "knowledge") for eye in EYES[:2]
    ]
    assert rows[0].percent == pytest.approx(60)
    assert rows[0].deviation == pytest.approx(10)
    assert rows[1].percent == pytest.approx(40)


def write_masks(file: Path, questions: tuple[object, ...] = QUESTIONS) -> None:
    file.parent.mkdir(parents=True)
    credits = {kept: tuple(seen_by(kept).tolist()) for kept in EVERY}
    scores = {kept: family_scores(QUESTIONS, earned) for kept, earned in credits.items()}
    save_masks(file, MaskedScores(EYES, scores, credits, tuple(QUESTIONS[: len(questions)])))


def unprobed(seed: int) -> SweepAnswers:
    whole = three_eyed(seed)
    return SweepAnswers({"eyes.mlp": {seed: replace(whole, earned={"image": whole.earned["image"]})}}, {})


def benchmark(folder: Path) -> BenchmarkConfig:
    """One question, so that there is something to open; what is kept on disk answers for it."""
    (folder / "general.jsonl").write_text(
        '{"idx": 0, "family": "general", "task": "colour", "question": "what ?", "answer": "red"}\n'
    )
    return BenchmarkConfig(folder=str(folder), images=str(folder), families=("general",))


def test_masks_that_were_scored_before_are_not_scored_again(tmp_path: Path) -> None:
    from opabinia.studies.probing import probed

    write_masks(tmp_path / "results" / "masks" / "eyes.mlp.s0.json")
    (again,) = probed(unprobed(0), benchmark(tmp_path), ["masks"], tmp_path / "results").trials
    for kept in EVERY:
        assert np.array_equal(again.earned[kept], seen_by(kept))


def test_masks_of_other_questions_are_one_line(tmp_path: Path) -> None:
    from opabinia.studies.probing import probed

    write_masks(tmp_path / "results" / "masks" / "eyes.mlp.s0.json", QUESTIONS[:10])
    with pytest.raises(ValueError, match=r"study: the masks of eyes\.mlp\.s0 were scored on other questions"):
        probed(unprobed(0), benchmark(tmp_path), ["masks"], tmp_path / "results")


def test_what_is_not_measured_is_not_opened() -> None:
    from opabinia.studies.probing import probed

    nowhere = BenchmarkConfig(folder="nowhere", images="nowhere")
    assert probed(SWEEP, nowhere, ["blind"], Path("nowhere")) is SWEEP
