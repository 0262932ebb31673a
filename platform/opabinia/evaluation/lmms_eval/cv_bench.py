"""CV-Bench's own score from what lmms-eval logged: its task pools all questions, where the benchmark averages sources and halves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opabinia.evaluation.questions import VISION_CENTRIC_TYPES, Question
from opabinia.evaluation.scoring import FamilyScores, family_scores

_MARK = "cv_bench_acc"


def scores_of_log(log: Path) -> FamilyScores:
    """The scores of a file of `--log_samples`, answers marked as lmms-eval marked them (Tong et al. 2024, §3.2).

    Their average is that of 2D, the mean of ADE20K and COCO, and 3D, Omni3D. Raises ValueError, naming file and line, for what is no
    log of a CV-Bench task.
    """
    try:
        lines = log.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ValueError(f"log: {log} cannot be read ({error.strerror}); give a file of --log_samples") from None
    marks = [_mark(line, f"{log} line {number}") for number, line in enumerate(lines, start=1)]
    halves = {name: [mark for mark in marks if mark[0].benchmark == name] for name in ("cv_bench_2d", "cv_bench_3d")}
    for name, half in halves.items():
        if not half:
            raise ValueError(f"log: {log} holds no question of {name}; give the log of the task cv_bench")
    return family_scores(*zip(*marks, strict=True))


def render(scores: FamilyScores) -> str:
    """A line for each score, percent: the benchmark, its halves, and their tasks and sources."""
    parts = {place: score for place, score in scores.parts.items() if not place.endswith("/raw")}
    places = {**scores.tasks, **parts}
    width = max(map(len, places))
    return "\n".join(f"{place:<{width}}  {places[place]:5.1f}" for place in sorted(places))


def _mark(line: str, place: str) -> tuple[Question, float]:
    try:
        mark: Mapping[str, Any] = json.loads(line)[_MARK]
        return _question(mark), float(mark["is_correct"])
    except (ValueError, KeyError, TypeError):
        raise ValueError(
            f"log: {place} holds no {_MARK} of a 2D or 3D question; give the log of the task cv_bench"
        ) from None


def _question(mark: Mapping[str, Any]) -> Question:
    kind = VISION_CENTRIC_TYPES[VISION_CENTRIC_TYPES.index(mark["type"])]
    return Question(
        id=str(mark["id"]),
        family="vision_centric",
        task=str(mark["task"]),
        type=kind,
        image=None,
        question="",
        choices=(),
        answer=str(mark["gt_content"]),
        source=str(mark["source"]),
        benchmark=f"cv_bench_{kind.lower()}",
    )
