"""Two sweeps side by side: each configuration that both have against itself, and all of both against one baseline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from opabinia.evaluation.report import TrialReport
from opabinia.evaluation.samples import load_answers
from opabinia.evaluation.statistics.comparing import Difference, holm, paired_difference
from opabinia.evaluation.statistics.comparison_page import comparison_markdown
from opabinia.evaluation.statistics.credits import Credits, credits_of
from opabinia.evaluation.statistics.intervals import Interval, score_interval
from opabinia.evaluation.statistics.sample_size import LEVEL
from opabinia.evaluation.statistics.sweep_comparison import SweepComparison, compare_sweep, finished
from opabinia.sweeps.driver import LOG
from opabinia.sweeps.trial_log import logged_trials

Answered = Sequence[tuple[TrialReport, Credits]]
"""The trials of a sweep that ended with a report, and what they earned."""

FIRST, SECOND = "first", "second"


@dataclass(frozen=True, slots=True)
class Matched:
    """A configuration of both sweeps: its scores, the second's minus the first's, and the p-value corrected for all of them."""

    name: str
    first: Interval
    second: Interval
    difference: Difference
    corrected_p: float


@dataclass(frozen=True, slots=True)
class TwoSweeps:
    """together: all configurations of both, named `first/…` and `second/…`, against one baseline."""

    matched: Sequence[Matched]
    together: SweepComparison


def answered_trials(sweep: Path) -> Answered:
    """Raises ValueError where the folder is no sweep's, or a trial's answers cannot be read."""
    trials = logged_trials(sweep / LOG)
    if not trials:
        raise ValueError(
            f"{sweep}: holds no trials of a sweep; name a folder such as runs/quickstart/sweeps/20260101-120000"
        )
    return [
        (trial.told[-1].report, credits_of(load_answers(trial.told[-1].checkpoint / "answers.json")))
        for trial in trials.values()
        if trial.ended is not None and trial.told
    ]


def compare_sweeps(first: Answered, second: Answered, baseline: str | None = None) -> TwoSweeps:
    """`baseline`: a configuration with `first/` or `second/` before it; by default the first's first that finished.

    Raises ValueError where fewer than two configurations finished, or the two did not answer the same questions.
    """
    both = [*_labelled(first, FIRST), *_labelled(second, SECOND)]
    return TwoSweeps(_matched(finished(first), finished(second)), compare_sweep(both, baseline))


def two_sweeps_markdown(compared: TwoSweeps, first: Path, second: Path) -> str:
    """What changed from the first to the second, and the table of all."""
    lines = [f"# What changed from {FIRST} to {SECOND}", "", f"- {FIRST}: {first}", f"- {SECOND}: {second}", ""]
    return "\n".join([*lines, *_table(compared.matched), "", comparison_markdown(compared.together, "Both together")])


def _matched(first: dict[str, Credits], second: dict[str, Credits]) -> list[Matched]:
    names = [name for name in first if name in second]
    differences = [paired_difference(second[name], first[name]) for name in names]
    corrected = holm([difference.p for difference in differences])
    return [
        Matched(name, score_interval(first[name]), score_interval(second[name]), difference, p)
        for name, difference, p in zip(names, differences, corrected, strict=True)
    ]


def _table(matched: Sequence[Matched]) -> Iterator[str]:
    if not matched:
        yield "No configuration finished in both."
        return
    yield f"| configuration | {FIRST} | {SECOND} | difference | 95 % interval | p, Holm | shown |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | --- |"
    for one in matched:
        points, low, high = one.difference.points, one.difference.low, one.difference.high
        shown = "not shown" if one.corrected_p >= LEVEL else "better" if points > 0 else "worse"
        yield (
            f"| {one.name} | {one.first.plus_minus} | {one.second.plus_minus} | {points:+.1f} | {low:+.1f} to {high:+.1f} "
            f"| {one.corrected_p:.4f} | {shown} |"
        )


def _labelled(trials: Answered, label: str) -> list[tuple[TrialReport, Credits]]:
    return [(replace(report, trial_id=f"{label}/{report.trial_id}"), credits) for report, credits in trials]
