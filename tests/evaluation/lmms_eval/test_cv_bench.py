"""CV-Bench's own score of what lmms-eval logged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from opabinia.evaluation.lmms_eval.cv_bench import render, scores_of_log


def line(number: int, kind: str, source: str, task: str, right: bool) -> dict[str, Any]:
    """As lmms-eval 0.7 writes it, without what nobody reads."""
    mark = {
        **{"id": number, "gt_content": "B", "pred_parsed": "B" if right else "A", "pred": "(B)"},
        **{"type": kind, "task": task, "source": source, "is_correct": right},
    }
    return {"doc_id": number, "target": "(B)", "filtered_resps": "(B)", "cv_bench_acc": mark}


LINES = [
    line(0, "2D", "ADE20K", "Count", True),
    line(1, "2D", "ADE20K", "Count", False),
    line(2, "2D", "ADE20K", "Relation", True),
    line(3, "2D", "ADE20K", "Relation", False),
    line(4, "2D", "COCO", "Count", True),
    line(5, "3D", "Omni3D", "Depth", True),
    line(6, "3D", "Omni3D", "Distance", False),
    line(7, "3D", "Omni3D", "Distance", False),
]


def write(file: Path, lines: list[dict[str, Any]]) -> Path:
    file.write_text("".join(json.dumps(one) + "\n" for one in lines))
    return file


def test_sources_are_averaged_and_then_2d_and_3d(tmp_path: Path) -> None:
    """By hand: 2D = (50 + 100) / 2, 3D = 100 / 3."""
    scores = scores_of_log(write(tmp_path / "log.jsonl", LINES))
    assert scores.tasks["vision_centric/cv_bench_2d"] == pytest.approx(75)
    assert scores.tasks["vision_centric/cv_bench_3d"] == pytest.approx(100 / 3)
    assert scores.average == scores.parts["vision_centric/cv_bench"] == pytest.approx((75 + 100 / 3) / 2)
    assert scores.parts["vision_centric/cv_bench_2d/Count"] == pytest.approx(200 / 3)


def test_the_table_names_every_score(tmp_path: Path) -> None:
    lines = [row.split() for row in render(scores_of_log(write(tmp_path / "log.jsonl", LINES))).splitlines()]
    assert ["vision_centric/cv_bench", "54.2"] in lines
    assert ["vision_centric/cv_bench_2d/ADE20K", "50.0"] in lines


def test_half_a_benchmark_has_no_score(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no question of cv_bench_3d; give the log of the task cv_bench"):
        scores_of_log(write(tmp_path / "log.jsonl", LINES[:5]))


@pytest.mark.parametrize(
    "wrong", [{"mme_perception_score": {"score": 1}}, line(8, "4D", "COCO", "Count", True), {"cv_bench_acc": 1}]
)
def test_another_tasks_log_is_refused_with_its_line(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"log.jsonl line 9 holds no cv_bench_acc"):
        scores_of_log(write(tmp_path / "log.jsonl", [*LINES, wrong]))


def test_a_log_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nothing.jsonl cannot be read \(No such file or directory\)"):
        scores_of_log(tmp_path / "nothing.jsonl")
