from __future__ import annotations

from pathlib import Path

from opabinia.evaluation.questions import BenchmarkConfig
from opabinia.training.reports.scorer import open_scorer
from tests.evaluation.benchmarks.published import picture, write_parquet


def published(folder: Path) -> BenchmarkConfig:
    chart = {"type": "human_test", "question": "How many?", "answer": "14", "image": picture(1)}
    file = write_parquet(folder / "charts.parquet", [chart])
    return BenchmarkConfig(folder="no folder", images="no folder", files={"chart_qa": str(file)})


def test_published_files_stand_in_place_of_the_folders_families(tmp_path: Path) -> None:
    (question,) = open_scorer(published(tmp_path)).questions
    assert (question.benchmark, question.question) == ("chart_qa", "How many?")


def test_fewer_questions_of_published_files_can_be_asked(tmp_path: Path) -> None:
    rows = [{"question": f"How many {n}?", "answer": "1", "image": picture(n)} for n in range(6)]
    file = write_parquet(tmp_path / "charts.parquet", rows)
    config = BenchmarkConfig(folder="no", images="no", files={"chart_qa": str(file)}, limit_per_family=3)
    assert [asked.question for asked in open_scorer(config).questions] == ["How many 1?", "How many 3?", "How many 5?"]
