"""Whether what a paper concludes appears in a sweep's answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from opabinia.evaluation.questions import FAMILIES
from opabinia.evaluation.statistics.comparing import Difference, holm, paired_difference
from opabinia.evaluation.statistics.credits import Credits
from opabinia.evaluation.statistics.sample_size import LEVEL
from opabinia.studies.answers import SweepAnswers
from opabinia.studies.columns import on_column
from opabinia.studies.config import Finding, Side

Verdict = Literal["appears", "the opposite appears", "does not appear", "cannot be told"]


@dataclass(frozen=True, slots=True)
class Checked:
    """A finding, its difference here, and the p-value corrected for all findings of the study that say which side is better.

    corrected_p: None of a finding that says that two sides are alike, which its interval decides.
    """

    finding: Finding
    difference: Difference
    corrected_p: float | None
    verdict: Verdict


def check_findings(findings: Sequence[Finding], answers: SweepAnswers) -> list[Checked]:
    """Each against the sweep. Raises ValueError naming what a finding speaks of and the sweep has not."""
    differences = [_difference(finding, answers) for finding in findings]
    tested = [place for place, finding in enumerate(findings) if finding.within is None]
    corrected = dict(zip(tested, holm([differences[place].p for place in tested]), strict=True))
    return [
        Checked(finding, difference, corrected.get(place), _verdict(finding, difference, corrected.get(place)))
        for place, (finding, difference) in enumerate(zip(findings, differences, strict=True))
    ]


def credits_on(answers: SweepAnswers, side: Side, column: str) -> Credits:
    """What a side earned on all families, one, or one benchmark. Raises ValueError where no question of it was asked."""
    of_column = on_column(answers.credits(side), column)
    if not of_column.questions:
        place = "families" if column in FAMILIES else "files"
        raise ValueError(f"study: no question of {column} was asked; add it to benchmark.{place} and score again")
    return of_column


def _difference(finding: Finding, answers: SweepAnswers) -> Difference:
    better, than = (credits_on(answers, side, finding.on) for side in (finding.better, finding.than))
    same = finding.better.configuration == finding.than.configuration
    return paired_difference(better, than, same_models=same)


def _verdict(finding: Finding, difference: Difference, corrected_p: float | None) -> Verdict:
    if finding.within is not None:
        return _likeness(finding.within, difference)
    if corrected_p is None or corrected_p >= LEVEL:
        return "cannot be told"
    return "appears" if difference.points > 0 else "the opposite appears"


def _likeness(within: float, difference: Difference) -> Verdict:
    """By the whole interval, as a test of equivalence does (Schuirmann 1987)."""
    if -within < difference.low and difference.high < within:
        return "appears"
    apart = difference.low >= within or difference.high <= -within
    return "does not appear" if apart else "cannot be told"
