"""The story of a study's report: what the sweep answered, its scores, and each published finding against it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from opabinia.config import Config
from opabinia.evaluation.statistics.correlation import BenchmarkMap, map_benchmarks, task_scores
from opabinia.studies.answers import SweepAnswers
from opabinia.studies.blind import BlindRow, blind_rows
from opabinia.studies.config import StudyConfig
from opabinia.studies.findings import Checked, check_findings
from opabinia.studies.lengths import LengthRow, length_rows
from opabinia.studies.masks import Masked, masked_scores
from opabinia.studies.scores import Repeated, Scored, against_published, score_all
from opabinia.studies.shares import ShareRow, share_rows


@dataclass(frozen=True, slots=True)
class StudyReport:
    """Everything that is said of a study; what it does not measure is empty or None."""

    source: str
    tolerance: float
    scores: Sequence[Scored]
    findings: Sequence[Checked]
    repeated: Sequence[Repeated]
    blind: Sequence[BlindRow]
    lengths: Sequence[LengthRow]
    correlations: BenchmarkMap | None
    masked: Masked | None
    shares: Sequence[ShareRow]


def report_study(study: StudyConfig, answers: SweepAnswers) -> StudyReport:
    """`answers` must have been probed where the study measures masks or shares.

    Raises ValueError where a finding speaks of what the sweep has not, or too few questions were asked for an interval.
    """
    measures = study.measures
    return StudyReport(
        source=study.source,
        tolerance=study.tolerance,
        scores=score_all(answers),
        findings=check_findings(study.findings, answers),
        repeated=against_published(study, answers),
        blind=blind_rows(answers) if "blind" in measures else [],
        lengths=length_rows(answers) if "lengths" in measures else [],
        correlations=_correlations(answers) if "correlations" in measures else None,
        masked=masked_scores(answers) if "masks" in measures else None,
        shares=share_rows(answers) if "shares" in measures else [],
    )


def _correlations(answers: SweepAnswers) -> BenchmarkMap:
    return map_benchmarks(*task_scores([trial.report for trial in answers.trials]))


def study_json(report: StudyReport, made_by: Sequence[str]) -> str:
    """Every number of the page, as one JSON object."""
    return json.dumps({"made_by": list(made_by), **asdict(report)}, indent=1, default=_plain)


def _plain(value: Any) -> Any:
    """Settings and arrays, which JSON does not know."""
    return value.model_dump(mode="json") if isinstance(value, Config) else value.tolist()
