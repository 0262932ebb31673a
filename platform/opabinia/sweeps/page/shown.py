"""What the page shows of a trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from opabinia.evaluation.report import TrialReport, rank
from opabinia.training.run import RunConfig


@dataclass(frozen=True, slots=True)
class ShownTrial:
    """A trial that reported. curve: a point a step, as training reports it. checkpoint: of the last report."""

    run: RunConfig
    report: TrialReport
    curve: Sequence[Mapping[str, float]]
    checkpoint: Path

    @property
    def device_minutes(self) -> float:
        """Wall time times workers, each of which has one device."""
        return self.report.seconds * self.run.workers.count / 60


def ranked_trials(trials: Sequence[ShownTrial]) -> list[ShownTrial]:
    """Best first, in the order of `opabinia.evaluation.report.rank`."""
    by_report = {trial.report.trial_id: trial for trial in trials}
    return [by_report[report.trial_id] for report in rank([trial.report for trial in trials])]
