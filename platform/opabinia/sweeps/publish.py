"""Leave a sweep's results where the team compares them: files, tables and pictures in MLflow, the best in the registry."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from opabinia.evaluation.benchmarks.formats.pictures import pictures_of
from opabinia.evaluation.pictures import OpenPicture
from opabinia.evaluation.report import TrialReport, champion, to_json, vision_gain
from opabinia.evaluation.samples import AnswerPair, load_answers, spread_pairs
from opabinia.evaluation.statistics.comparison_page import comparison_json, comparison_markdown
from opabinia.evaluation.statistics.correlation import map_benchmarks, map_json, task_scores
from opabinia.evaluation.statistics.credits import Credits, credits_of
from opabinia.evaluation.statistics.intervals import Interval, score_interval
from opabinia.evaluation.statistics.map_picture import draw_map
from opabinia.evaluation.statistics.sweep_comparison import compare_sweep, configuration, finished
from opabinia.sweeps.follow import Outcome
from opabinia.sweeps.page.page import PAGE, sweep_page
from opabinia.sweeps.page.shown import ShownTrial
from opabinia.tracking.ablation import (
    COLUMNS,
    SUMMARY,
    AblationRow,
    Place,
    as_csv,
    as_markdown,
    encoder_label,
    table_rows,
)
from opabinia.tracking.champion import register_champion
from opabinia.tracking.config import TrackingConfig
from opabinia.tracking.heat_map import draw_family_maps, draw_heat_map
from opabinia.tracking.samples_page import Sample, samples_page
from opabinia.tracking.tracked_run import TrackedRun

_SAMPLES_PER_FAMILY = 12
CHECKPOINT = "checkpoint"
_PICTURES = {
    "Encoder sets by connectors": "heat_map.png",
    "By family": "heat_map_families.png",
    "Tasks that trials find hard alike": "benchmark_map.png",
}
_ANSWERS = "answers.json"

Answered = Sequence[tuple[TrialReport, Credits]]
"""The trials of a sweep, in its order, with what they earned."""


def publish_trial(outcome: Outcome) -> None:
    """Upload a trial's report, checkpoint and sample answers to its run and close it."""
    tracked, report = outcome.tracked, outcome.report
    if report is None or outcome.checkpoint is None:
        tracked.finish("failed")
        return
    tracked.log_folder(outcome.checkpoint, CHECKPOINT)
    tracked.log_text(to_json(report), "report.json")
    open_picture = pictures_of(outcome.run.benchmark)
    pairs = spread_pairs(load_answers(outcome.checkpoint / _ANSWERS), _SAMPLES_PER_FAMILY)
    tracked.log_text(
        samples_page([_sample(pair, open_picture) for pair in pairs], title=report.trial_id), "samples.html"
    )
    tracked.log({"start_up_seconds": outcome.start_up_seconds or 0.0, "seconds": report.seconds}, report.steps)
    tracked.finish(report.status)


@dataclass(frozen=True, slots=True)
class Results:
    """The rows of the ablation, and the interval of each trial's score, by trial, where its answers allow one."""

    rows: Sequence[AblationRow]
    intervals: Mapping[str, Interval]


def publish_sweep(
    parent: TrackedRun,
    name: str,
    outcomes: Sequence[Outcome],
    folder: Path,
    settings: Path,
    baseline: str | None = None,
) -> Results:
    """Write the results, and all of them as one page, to `folder`, upload them to the parent run, and close the run.

    `settings` is the sweep's experiment file; `baseline` as in write_results.
    """
    results = write_results(name, outcomes, folder, baseline)
    _write_page(outcomes, results.rows, name, folder, settings)
    parent.log_folder(folder, "ablation")
    parent.log_table(COLUMNS, table_rows(results.rows), "ablation/table.json")
    parent.describe(as_markdown(results.rows, SUMMARY))
    parent.finish("finished")
    return results


def write_results(name: str, outcomes: Sequence[Outcome], folder: Path, baseline: str | None = None) -> Results:
    """Write the ablation as pictures and tables, and every configuration's difference from the baseline.

    `baseline` is a trial's name without its seed; by default the first configuration of the sweep that finished.
    """
    reports = [outcome.report for outcome in outcomes if outcome.report]
    answered = _answered(outcomes)
    intervals = {report.trial_id: found for report, credits in answered if (found := _interval(credits))}
    rows = [ablation_row(report, intervals.get(report.trial_id)) for report in reports]
    folder.mkdir(parents=True, exist_ok=True)
    if any(row.score is not None for row in rows):
        title = f"{name}: encoder sets by connectors"
        draw_heat_map(rows, folder / "heat_map.png", title=title, half_widths=_half_widths(answered))
        draw_family_maps(rows, folder / "heat_map_families.png", title=f"{name}: by family")
    (folder / "ablation.csv").write_text(as_csv(rows))
    (folder / "ablation.md").write_text(as_markdown(rows))
    (folder / "reports.json").write_text(json.dumps([json.loads(to_json(report)) for report in reports], indent=1))
    (folder / "curves.json").write_text(json.dumps({outcome.run.name: _curve(outcome) for outcome in outcomes}))
    _write_comparison(answered, name, folder, baseline)
    _write_map(reports, name, folder)
    return Results(rows, intervals)


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


def ablation_row(report: TrialReport, interval: Interval | None = None) -> AblationRow:
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
        low=interval.low if interval else None,
        high=interval.high if interval else None,
    )


def _answered(outcomes: Sequence[Outcome]) -> Answered:
    answered: list[tuple[TrialReport, Credits]] = []
    for outcome in outcomes:
        if outcome.report and outcome.checkpoint:
            credits = credits_of(load_answers(outcome.checkpoint / _ANSWERS))
            # One list of questions for all trials: they take far more room than what was earned on them.
            shared = answered[0][1].questions if answered else credits.questions
            same = credits.questions == shared
            answered.append((outcome.report, replace(credits, questions=shared) if same else credits))
    return answered


def _interval(credits: Credits) -> Interval | None:
    """None where the benchmark was cut so small that a task asks about one image."""
    try:
        return score_interval(credits)
    except ValueError:
        return None


def _half_widths(answered: Answered) -> dict[Place, float]:
    """Of each heat map cell that holds one configuration, seeds together; none where seeds answered different questions."""
    try:
        together = finished(answered)
    except ValueError:
        return {}
    places = {configuration(report): (encoder_label(report.encoders), report.connector) for report, _ in answered}
    alone = {name for name, place in places.items() if list(places.values()).count(place) == 1}
    found = {name: _interval(credits) for name, credits in together.items() if name in alone}
    return {places[name]: interval.half_width for name, interval in found.items() if interval}


def _write_comparison(answered: Answered, name: str, folder: Path, baseline: str | None) -> None:
    """Where there is nothing to compare the page says why: a sweep's results are never lost to a table."""
    page = folder / "comparison.md"
    try:
        compared = compare_sweep(answered, baseline)
    except ValueError as error:
        page.write_text(f"# {name}: no comparison\n\n{error}\n")
        return
    page.write_text(comparison_markdown(compared, name))
    (folder / "comparison.json").write_text(comparison_json(compared))


def _write_map(reports: Sequence[TrialReport], name: str, folder: Path) -> None:
    try:
        mapped = map_benchmarks(*task_scores(reports))
    except ValueError as error:
        (folder / "benchmark_map.json").write_text(json.dumps({"not_mapped": str(error)}))
        return
    (folder / "benchmark_map.json").write_text(map_json(mapped))
    draw_map(mapped, folder / "benchmark_map.png", title=f"{name}: tasks that trials find hard alike")


def _write_page(
    outcomes: Sequence[Outcome], rows: Sequence[AblationRow], name: str, folder: Path, settings: Path
) -> None:
    shown = [
        ShownTrial(outcome.run, outcome.report, outcome.curve, outcome.checkpoint)
        for outcome in outcomes
        if outcome.report and outcome.checkpoint
    ]
    if not shown:
        return
    comparison = (folder / "comparison.md").read_text()
    pictures = {title: folder / file for title, file in _PICTURES.items() if (folder / file).exists()}
    page = sweep_page(name, shown, rows, settings=settings, comparison=comparison, pictures=pictures)
    (folder / PAGE).write_text(page)


def _curve(outcome: Outcome) -> dict[str, object]:
    return {"start_up_seconds": outcome.start_up_seconds, "curve": outcome.curve}


def _sample(pair: AnswerPair, open_picture: OpenPicture) -> Sample:
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
        image=partial(open_picture, question.image) if question.image else None,
    )
