"""A study's report as a page: scores with intervals, what was published, and whether it appears."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import get_args

from opabinia.evaluation.statistics.correlation import BenchmarkMap
from opabinia.studies.blind import BlindRow
from opabinia.studies.columns import AVERAGE, TITLES
from opabinia.studies.findings import Checked, Verdict
from opabinia.studies.lengths import LengthRow
from opabinia.studies.masks import Masked
from opabinia.studies.report import StudyReport
from opabinia.studies.scores import Scored
from opabinia.studies.shares import ShareRow

_ONE_SEED = (
    "Where there is one seed, an interval, and what is found below, is of that one trained model: others, trained alike from another "
    "seed, may differ by more."
)


def study_markdown(report: StudyReport, name: str, made_by: Sequence[str]) -> str:
    """made_by: lines that say how the numbers came about."""
    lines = [f"# {name}", "", f"After {report.source}.", "", *made_by, ""]
    lines += ["## Scores", "", *_scores(report.scores, bool(report.findings)), ""]
    if report.findings:
        lines += ["## What was published, and whether it appears here", "", *_findings(report.findings), ""]
    if report.repeated:
        lines += ["## Against the published numbers", "", *_repeated(report), ""]
    if report.blind:
        lines += ["## With the image, without it, and guessing", "", *_blind(report.blind), ""]
    if report.lengths:
        lines += ["## How long answers are", "", *_lengths(report.lengths), ""]
    if report.correlations:
        lines += ["## Tasks that models find hard alike", "", *_correlations(report.correlations), ""]
    if report.masked:
        lines += ["## With the features of some encoders zeroed", "", *_masks(report.masked), ""]
    if report.shares:
        lines += ["## How much each encoder counts", "", *_shares(report.shares), ""]
    return "\n".join(lines)


def _table_of_scores(scores: Sequence[Scored]) -> Iterator[str]:
    columns = list(scores[0].intervals)
    yield f"| configuration | seeds | {' | '.join(TITLES[column] for column in columns)} |"
    yield f"| --- | ---: {'| ---: ' * len(columns)}|"
    for one in scores:
        cells = [one.intervals[column].plus_minus for column in columns]
        yield f"| {one.name} | {one.intervals[AVERAGE].seeds} | {' | '.join(cells)} |"


def _scores(scores: Sequence[Scored], tested: bool) -> Iterator[str]:
    """tested: whether findings are, below."""
    yield from _table_of_scores(scores)
    images = scores[0].intervals[AVERAGE].images
    yield ""
    yield f"Percent, with half the 95 % interval over {images:,} images, clustered by image, and over seeds."
    if any(one.intervals[AVERAGE].seeds == 1 for one in scores):
        yield _ONE_SEED
    if len(scores) > 1:
        below = ": the findings below are paired, question by question" if tested else ""
        yield f"Best first; neighbours whose intervals overlap are not told apart by this table{below}."


def _findings(findings: Sequence[Checked]) -> Iterator[str]:
    yield from _plainly(findings)
    yield ""
    yield "| finding | here | in the paper | compared | on | points here | 95 % interval | p, Holm |"
    yield "| --- | --- | ---: | --- | --- | ---: | ---: | ---: |"
    for one in findings:
        finding, difference = one.finding, one.difference
        cells = [
            finding.says,
            f"**{one.verdict}**",
            "" if finding.by is None else f"{finding.by:+.2f}",
            f"{finding.better} minus {finding.than}",
            TITLES[finding.on],
            f"{difference.points:+.1f}",
            f"{difference.low:+.1f} to {difference.high:+.1f}",
            _p(one),
        ]
        yield f"| {' | '.join(cells)} |"
    yield ""
    yield (
        "Appears: the difference has the sign that the paper's has, after Holm's correction over these findings (5 %). Cannot be "
        "told is not the same as absent: more questions or seeds might tell."
    )


def _plainly(findings: Sequence[Checked]) -> Iterator[str]:
    for verdict in get_args(Verdict):
        said = [one.finding.says for one in findings if one.verdict == verdict]
        if said:
            yield f"- {verdict[0].upper()}{verdict[1:]}: {'; '.join(said)}."


def _p(one: Checked) -> str:
    if one.finding.within is not None:
        return f"within {one.finding.within:g}"
    assert one.corrected_p is not None
    return "<0.0001" if one.corrected_p < 0.0001 else f"{one.corrected_p:.4f}"


def _repeated(report: StudyReport) -> Iterator[str]:
    yield "| configuration | on | published | here | difference | repeated |"
    yield "| --- | --- | ---: | ---: | ---: | --- |"
    for one in report.repeated:
        yield (
            f"| {one.name} | {TITLES[one.column]} | {one.published:.1f} | {one.here.plus_minus} | "
            f"{one.here.score - one.published:+.1f} | {'yes' if one.within else 'no'} |"
        )
    yield ""
    yield f"Repeated: within {report.tolerance:g} points of the published number."


def _blind(rows: Sequence[BlindRow]) -> Iterator[str]:
    yield "| configuration | on | with the image | without | guessing | the image adds | 95 % interval |"
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: |"
    for row in rows:
        added = row.added
        yield (
            f"| {row.name} | {TITLES[row.column]} | {row.seen.plus_minus} | {row.blind.plus_minus} | {row.guessing:.1f} | "
            f"{added.points:+.1f} | {added.low:+.1f} to {added.high:+.1f} |"
        )


def _lengths(rows: Sequence[LengthRow]) -> Iterator[str]:
    yield "| configuration | words an answer | of one word |"
    yield "| --- | ---: | ---: |"
    for row in rows:
        yield f"| {row.name} | {row.words:.2f} ±{row.half_width:.2f} | {row.one_word:.0f} % |"


def _correlations(mapped: BenchmarkMap) -> Iterator[str]:
    yield "| task | cluster | first component | second component | most like |"
    yield "| --- | ---: | ---: | ---: | --- |"
    for place in sorted(range(len(mapped.benchmarks)), key=lambda place: mapped.clusters[place]):
        alike = mapped.correlations[place].copy()
        alike[place] = -2.0
        nearest = int(alike.argmax())
        first, second = mapped.places[place]
        yield (
            f"| {mapped.benchmarks[place]} | {mapped.clusters[place] + 1} | {first:+.2f} | {second:+.2f} | "
            f"{mapped.benchmarks[nearest]} ({alike[nearest]:+.2f}) |"
        )
    explained = [f"{100 * part:.0f} %" for part in mapped.explained]
    yield ""
    yield (
        f"Over {mapped.runs} trained models. The two components explain {explained[0]} and {explained[1]} of the variance. Clusters "
        f"join tasks by their correlation; they agree with the families by an adjusted Rand index of {mapped.agreement:.2f} (1: the "
        "same, 0: nothing to do with each other)."
    )


def _masks(masked: Masked) -> Iterator[str]:
    yield from _table_of_scores(masked.subsets)
    yield ""
    yield "| configuration | encoder | on | lost without it, points | 95 % interval | utilisation |"
    yield "| --- | --- | --- | ---: | ---: | ---: |"
    for one in masked.lost:
        points = one.points
        rate = "–" if one.rate is None else f"{one.rate:+.1f} %"
        yield (
            f"| {one.configuration} | {one.encoder} | {TITLES[one.column]} | {points.points:+.1f} | "
            f"{points.low:+.1f} to {points.high:+.1f} | {rate} |"
        )
    yield ""
    for name, gaps in masked.gaps.items():
        told = ", ".join(f"{TITLES[column]} {gap:.1f}" for column, gap in gaps.items())
        yield f"Information gap of {name}, percentage points between the most and the least used encoder: {told}."


def _shares(rows: Sequence[ShareRow]) -> Iterator[str]:
    yield "| configuration | family | encoder | percent | over seeds |"
    yield "| --- | --- | --- | ---: | ---: |"
    for row in rows:
        spread = "" if row.deviation is None else f"±{row.deviation:.1f}"
        yield f"| {row.configuration} | {TITLES[row.family]} | {row.encoder} | {row.percent:.1f} | {spread} |"
    yield ""
    yield f"Percent of {rows[0].kind}, meant over questions and places, with the standard deviation over seeds."
