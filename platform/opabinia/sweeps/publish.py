"""Leave a sweep's results where the team compares them: files, tables and pictures in MLflow, the best in the registry."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from opabinia.evaluation.report import TrialReport, champion, to_json, vision_gain
from opabinia.evaluation.samples import AnswerPair, load_answers, spread_pairs
from opabinia.sweeps.follow import Outcome
from opabinia.tracking.ablation import COLUMNS, SUMMARY, AblationRow, as_csv, as_markdown, table_rows
from opabinia.tracking.champion import register_champion
from opabinia.tracking.config import TrackingConfig
from opabinia.tracking.heat_map import draw_family_maps, draw_heat_map
from opabinia.tracking.samples_page import Sample, samples_page
from opabinia.tracking.tracked_run import TrackedRun

_SAMPLES_PER_FAMILY = 12
CHECKPOINT = "checkpoint"


def publish_trial(outcome: Outcome, images: Path) -> None:
    """Upload a trial's report, checkpoint and sample answers to its run and close it."""
    tracked, report = outcome.tracked, outcome.report
    if report is None or outcome.checkpoint is None:
        tracked.finish("failed")
        return
    tracked.log_folder(outcome.checkpoint, CHECKPOINT)
    tracked.log_text(to_json(report), "report.json")
    pairs = spread_pairs(load_answers(outcome.checkpoint / "answers.json"), _SAMPLES_PER_FAMILY)
    tracked.log_text(samples_page([_sample(pair, images) for pair in pairs], title=report.trial_id), "samples.html")
    tracked.log({"start_up_seconds": outcome.start_up_seconds or 0.0, "seconds": report.seconds}, report.steps)
    tracked.finish(report.status)


def publish_sweep(parent: TrackedRun, name: str, outcomes: Sequence[Outcome], folder: Path) -> None:
    """Write the ablation as pictures and tables to `folder`, upload it to the parent run, and close the run."""
    reports = [outcome.report for outcome in outcomes if outcome.report]
    rows = [ablation_row(report) for report in reports]
    folder.mkdir(parents=True, exist_ok=True)
    if any(row.score is not None for row in rows):
        draw_heat_map(rows, folder / "heat_map.png", title=f"{name}: encoder sets by connectors")
        draw_family_maps(rows, folder / "heat_map_families.png", title=f"{name}: by family")
    (folder / "ablation.csv").write_text(as_csv(rows))
    (folder / "ablation.md").write_text(as_markdown(rows))
    (folder / "reports.json").write_text(json.dumps([json.loads(to_json(report)) for report in reports], indent=1))
    (folder / "curves.json").write_text(json.dumps({outcome.run.name: _curve(outcome) for outcome in outcomes}))
    parent.log_folder(folder, "ablation")
    parent.log_table(COLUMNS, table_rows(rows), "ablation/table.json")
    parent.describe(as_markdown(rows, SUMMARY))
    parent.finish("finished")


def crown(outcomes: Sequence[Outcome], tracking: TrackingConfig) -> TrialReport | None:
    """Register the best finished trial as the champion; None when no trial finished."""
    best = champion([outcome.report for outcome in outcomes if outcome.report])
    if best is None or best.score is None:
        return None
    winner = next(outcome for outcome in outcomes if outcome.report is best)
    tags = {
        "opabinia.trial": best.trial_id,
        "opabinia.encoders": " + ".join(best.encoders),
        "opabinia.connector": best.connector,
    }
    register_champion(tracking.uri, tracking.model_name, winner.tracked.run_id, CHECKPOINT, score=best.score, tags=tags)
    return best


def ablation_row(report: TrialReport) -> AblationRow:
    return AblationRow(
        trial=report.trial_id,
        encoders=report.encoders,
        connector=report.connector,
        seed=report.seed,
        status=report.status,
        steps=report.steps,
        seconds=report.seconds,
        families=report.with_image.families if report.with_image else {},
        score=report.score,
        blind=report.blind.average if report.blind else None,
        random=report.random.average if report.random else None,
        vision_gain=vision_gain(report),
    )


def _curve(outcome: Outcome) -> dict[str, object]:
    return {"start_up_seconds": outcome.start_up_seconds, "curve": outcome.curve}


def _sample(pair: AnswerPair, images: Path) -> Sample:
    question = pair.question
    return Sample(
        family=question.family,
        task=question.task,
        question=question.question,
        choices=question.choices,
        right_text=question.right_text,
        answer=pair.answer,
        correct=pair.correct,
        blind_answer=pair.blind_answer,
        blind_correct=pair.blind_correct,
        image=images / question.image if question.image else None,
    )
