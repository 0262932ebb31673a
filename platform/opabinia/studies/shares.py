"""How much each encoder counts inside trained models, by family (Tong et al. 2024, §4, attention of the aggregator)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from opabinia.evaluation.shares.shares import EncoderShares
from opabinia.studies.answers import SweepAnswers


@dataclass(frozen=True, slots=True)
class ShareRow:
    """One encoder in one family: percent, the mean over seeds, and their standard deviation, None of one seed."""

    configuration: str
    kind: str
    family: str
    encoder: str
    percent: float
    deviation: float | None


def share_rows(answers: SweepAnswers) -> list[ShareRow]:
    """Of every configuration with several encoders. Raises ValueError where there is none."""
    rows = [
        row
        for name, trials in answers.configurations.items()
        for row in _rows(name, [trial.shares for trial in trials.values() if trial.shares])
    ]
    if not rows:
        raise ValueError("study: shares need a configuration of several encoders; add one to sweep.encoder_sets")
    return rows


def _rows(name: str, seeds: Sequence[EncoderShares]) -> list[ShareRow]:
    if not seeds:
        return []
    first = seeds[0]
    return [
        _row(name, first.kind, family, encoder, [100 * one.of_family(family)[place] for one in seeds])
        for family in first.families
        for place, encoder in enumerate(first.encoders)
    ]


def _row(name: str, kind: str, family: str, encoder: str, percents: Sequence[float]) -> ShareRow:
    deviation = stdev(percents) if len(percents) > 1 else None
    return ShareRow(name, kind, family, encoder, fmean(percents), deviation)
