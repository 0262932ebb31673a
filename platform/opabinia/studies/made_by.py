"""How the numbers of a report came about."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from opabinia.studies.answers import SweepAnswers


def made_by(argv: Sequence[str], folder: Path, answers: SweepAnswers) -> list[str]:
    """Lines for people. argv: of jobs/report_study.py; folder: the sweep's, which is named by the time it began."""
    trials = answers.trials
    report = trials[0].report
    seconds = [trial.report.seconds for trial in trials]
    lines = [
        f"- Written by `{shlex.join(['python', 'jobs/report_study.py', *argv])}` from the sweep begun at {folder.name}.",
        f"- {_counted(len(trials), 'trial')} finished, of {_counted(len(answers.configurations), 'configuration')}; "
        f"{median(seconds):.0f} s a trial (median), {sum(seconds) / 3600:.2f} hours in all.",
        f"- {len(trials[0].questions):,} questions; prompt {report.prompt_kind}, scorer {report.scorer}, formulas version "
        f"{report.evaluator_version}.",
    ]
    if answers.unfinished:
        told = ", ".join(f"{name} ({status})" for name, status in answers.unfinished.items())
        lines.append(f"- Not counted, as they did not finish: {told}.")
    return lines


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
