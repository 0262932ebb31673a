"""A sweep's trials put together by configuration, and each configuration against the baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from opabinia.evaluation.report import TrialReport, comparable
from opabinia.evaluation.statistics.comparing import Comparison, compare_all
from opabinia.evaluation.statistics.credits import Credits, joined
from opabinia.evaluation.statistics.intervals import Interval, score_interval
from opabinia.evaluation.statistics.sample_size import Noise, measured_noise, typical
from opabinia.names import configuration_name


@dataclass(frozen=True, slots=True)
class SweepComparison:
    """`scores` and `comparisons` are by configuration, best first; the baseline is among the scores only.

    `left_out` gives the status of trials that did not finish. `noise` is what comparisons with the baseline typically varied by,
    on `questions` about `images`.
    """

    baseline: str
    scores: Mapping[str, Interval]
    comparisons: Sequence[Comparison]
    left_out: Mapping[str, str]
    noise: Noise
    images: int
    questions: int


def configuration(report: TrialReport) -> str:
    """What the trial is called without its seed."""
    return configuration_name(report.trial_id, report.seed)


def finished(trials: Sequence[tuple[TrialReport, Credits]]) -> dict[str, Credits]:
    """The answers of all seeds of each configuration, in the order of its first trial that finished.

    A trial that was stopped early does not count: its score is no estimate of a finished one. Raises ValueError where two
    seeds of one configuration did not answer the same questions.
    """
    seeds: dict[str, list[Credits]] = {}
    for report, credits in trials:
        if report.status == "finished":
            seeds.setdefault(configuration(report), []).append(credits)
    return {name: joined(of_seeds) for name, of_seeds in seeds.items()}


def compare_sweep(trials: Sequence[tuple[TrialReport, Credits]], baseline: str | None = None) -> SweepComparison:
    """Compare every configuration that finished with the baseline, seeds together.

    The baseline is by default the first configuration of the sweep that finished, in the order the sweep lists them: chosen
    before any score is known, it is not the luckiest of several. Raises ValueError where fewer than two configurations
    finished, the named baseline did not, the trials did not answer the same questions, or were not scored the same way.
    """
    if not comparable([report for report, _ in trials if report.status == "finished"]):
        raise ValueError("trials: scored with different prompts, scorers or formulas; score them all the same way")
    credits = finished(trials)
    against = baseline or next(iter(credits), "")
    compared = {comparison.name: comparison for comparison in compare_all(credits, against)}
    scores = {name: score_interval(of) for name, of in credits.items()}
    ranked = dict(sorted(scores.items(), key=lambda item: -item[1].score))
    return SweepComparison(
        baseline=against,
        scores=ranked,
        comparisons=[compared[name] for name in ranked if name != against],
        left_out={report.trial_id: report.status for report, _ in trials if report.status != "finished"},
        noise=typical([measured_noise(credits[name], credits[against]) for name in compared]),
        images=scores[against].images,
        questions=len(credits[against].questions),
    )
