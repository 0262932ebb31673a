from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from opabinia.evaluation.benchmarks.catalogue import BENCHMARKS
from opabinia.evaluation.benchmarks.formats.pictures import PublishedPictures
from opabinia.evaluation.benchmarks.formats.registry import published_questions
from opabinia.evaluation.benchmarks.records import benchmark_records
from opabinia.evaluation.benchmarks.score_table import render_benchmarks
from opabinia.evaluation.evaluate import evaluate
from opabinia.evaluation.report import TrialReport, from_json, score_metrics, to_json
from opabinia.evaluation.samples import load_answers, save_answers
from opabinia.evaluation.scoring import random_guess
from opabinia.evaluation.table import WIDTH
from tests.evaluation.benchmarks.published import picture, write_parquet
from tests.evaluation.benchmarks.test_formats import CHART_QA, MME, POPE
from tests.evaluation.specimens import Scripted
from tests.evaluation.specimens import report as plain_report

WORD = "\nAnswer the question using a single word or phrase."
CHARTS = [{"type": "human_test", "question": f"How many {n}?", "answer": "100", "image": picture(n)} for n in (1, 2)]
REPLIES = {
    "How many 1?\nAnswer the question using a single number or phrase.": "104",
    "How many 2?\nAnswer the question using a single number or phrase.": "90",
    "Is it? Please answer yes or no." + WORD: "yes",
    "Is there a snowboard in the image?" + WORD: "No.",
}


@pytest.fixture
def report(tmp_path: Path) -> TrialReport:
    files = {
        name: str(write_parquet(tmp_path / f"{name}.parquet", rows))
        for name, rows in (("chart_qa", CHARTS), ("mme", MME), ("pope", POPE))
    }
    questions = published_questions(files)
    seen = evaluate(Scripted(REPLIES), questions, PublishedPictures(), with_image=True)
    blind = evaluate(Scripted(dict.fromkeys(REPLIES, "no")), questions, PublishedPictures(), with_image=False)
    guess = random_guess(questions)
    save_answers(tmp_path / "answers.json", seen, blind)
    return replace(
        plain_report(with_image=seen.scores, blind=blind.scores),
        random=guess,
        prompt_kind=seen.prompt_kind,
        scorer=seen.scorer,
        benchmarks=benchmark_records(seen, blind, guess, None),
    )


def test_every_benchmark_is_asked_and_scored_in_its_own_way_and_says_so(report: TrialReport) -> None:
    kinds = {record.benchmark: (record.prompt_kind, record.scorer) for record in report.benchmarks}
    assert kinds == {
        "mme_perception": ("word", "choice-match-2"),
        "chart_qa": ("number", "relaxed-1"),
        "mme_cognition": ("word", "choice-match-2"),
        "pope": ("word", "choice-match-2"),
    }
    assert (report.prompt_kind, report.scorer) == ("number+word", "choice-match-2+relaxed-1")


def test_scores_are_kept_raw_and_scaled_with_and_without_the_image_and_by_guessing(report: TrialReport) -> None:
    records = {record.benchmark: record for record in report.benchmarks}
    mme = records["mme_perception"]
    # "yes" to both questions of a picture: one right, so accuracy 50 and accuracy+ 0.
    assert (mme.raw, mme.scaled, mme.questions) == (500.0, 25.0, 2)
    assert mme.random == BENCHMARKS["mme_perception"].guess
    chart = records["chart_qa"]
    assert (chart.raw, chart.scaled, chart.blind, chart.random) == (50.0, 50.0, 0.0, 0.0)
    assert report.with_image and report.with_image.families == {"general": 25.0, "ocr_chart": 50.0}
    assert report.score == 37.5


def test_a_report_of_published_benchmarks_comes_back_from_its_file(report: TrialReport) -> None:
    assert from_json(to_json(report)) == report
    assert score_metrics(report)["with_image/general/mme_perception"] == 25.0
    assert score_metrics(report)["with_image/general/mme_perception/raw"] == 500.0


def test_answers_come_back_with_their_credit(report: TrialReport, tmp_path: Path) -> None:
    answers = load_answers(tmp_path / "answers.json")
    assert [(pair.credit, pair.blind_credit) for pair in answers[:2]] == [(1.0, 0.0), (0.0, 0.0)]
    assert answers[0].question.answers == ("100",)


def test_the_table_shows_benchmarks_then_categories_then_the_average(report: TrialReport) -> None:
    lines = render_benchmarks(report).splitlines()
    cells = [" ".join(line.split()) for line in lines]
    assert cells[0] == "benchmark category asked raw score blind random gain prompt scorer"
    assert cells[2:6] == [
        "MME^P general 2 500.0 25.0 25.0 37.5 +0.0 word choice-match-2",
        "ChartQA ocr_chart 2 50.0 50.0 0.0 0.0 +50.0 number relaxed-1",
        "MME^C° general 2 200.0 25.0 25.0 37.5 +0.0 word choice-match-2",
        "POPE° general 2 50.0 50.0 50.0 50.0 +0.0 word choice-match-2",
    ]
    assert cells[7:10] == [
        "general 25.0 25.0 37.5 +0.0",
        "ocr_chart 50.0 0.0 0.0 +50.0",
        "average 37.5 12.5 18.8 +25.0",
    ]
    assert "POPE: adversarial 0.0, random 100.0, precision 0.0, recall 0.0, f1 0.0" in lines
    assert max(map(len, lines)) <= WIDTH


def test_a_report_of_families_has_no_such_table() -> None:
    with pytest.raises(ValueError, match=r"benchmark\.files: no published benchmark was scored"):
        render_benchmarks(plain_report())


def test_another_prompt_kind_can_be_chosen_for_all(tmp_path: Path) -> None:
    questions = published_questions({"chart_qa": str(write_parquet(tmp_path / "a.parquet", CHART_QA))})
    answerer = Scripted({"How many?": "14"})
    result = evaluate(answerer, questions, PublishedPictures(), with_image=True, prompt_kind="text")
    assert (result.prompt_kind, result.scores.average) == ("text", 100.0)
    (record,) = benchmark_records(result, result, random_guess(questions), "text")
    assert record.prompt_kind == "text"
