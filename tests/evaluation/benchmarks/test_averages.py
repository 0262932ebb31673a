from __future__ import annotations

from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opabinia.evaluation.benchmarks.averages import averages
from opabinia.evaluation.benchmarks.catalogue import BENCHMARKS, FILES
from opabinia.evaluation.benchmarks.formats.registry import READERS
from opabinia.evaluation.benchmarks.scorers.registry import SCORERS
from opabinia.evaluation.prompt_kinds import PROMPT_KINDS
from opabinia.evaluation.questions import FAMILIES

SIXTEEN = tuple(name for name, benchmark in BENCHMARKS.items() if benchmark.averaged)

# Tong et al. 2024, table 3: the average, then the columns in the order of the catalogue; S SigLIP-SO, D DINOv2-L, X ConvNeXt-XXL,
# C CLIP-L, XL ConvNeXt-L.
PUBLISHED = {
    "S+D": "51.61: 1432.02 61.28 65.99 63.30 | 68.82 35.69 29.40 60.01 | 43.00 35.70 60.40 37.54 | 30.00 53.99 55.52 53.58",
    "S+D+X": "54.52: 1503.51 63.83 67.97 63.95 | 70.40 35.99 29.30 60.69 | 48.20 36.90 64.97 45.53 | 34.67 58.69 55.74 60.33",
    "S+D+X+C": "54.74: 1479.46 63.32 67.63 64.04 | 71.39 35.49 29.10 59.88 | 50.24 39.60 64.55 46.12 | 32.67 58.95 58.54 60.42",
    "S+X": "54.53: 1494.97 64.60 67.98 63.58 | 71.05 34.90 29.80 60.85 | 50.64 38.00 64.53 46.52 | 32.00 57.91 58.83 56.58",
    "C+X": "54.45: 1511.08 63.83 67.41 63.63 | 70.80 35.09 30.40 59.91 | 51.32 35.00 64.45 47.88 | 33.33 57.25 56.32 59.08",
    "S+D+XL": "53.78: 1450.64 63.57 67.79 63.63 | 71.34 34.80 30.20 61.04 | 49.32 37.70 64.05 45.83 | 30.00 56.21 58.08 54.33",
    "S+C+XL": "54.53: 1507.28 63.23 68.64 63.63 | 71.10 35.89 30.90 59.97 | 52.36 38.50 65.40 47.92 | 28.67 57.25 57.66 55.92",
}


def row(name: str) -> tuple[float, dict[str, float]]:
    """The published average and the raw scores; the tables print OCRBench in percent of its 1000 points."""
    average, columns = PUBLISHED[name].split(":")
    raw = dict(zip(SIXTEEN, map(float, columns.replace("|", "").split()), strict=True))
    return float(average), raw | {"ocr_bench": 10 * raw["ocr_bench"]}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_average_is_the_published_one(name: str) -> None:
    published, raw = row(name)
    averaged = averages(raw)
    assert averaged.average == pytest.approx(published, abs=0.01)
    assert averaged.mean_of_benchmarks == pytest.approx(averaged.average)


def test_the_categories_of_the_four_encoders_are_the_published_ones() -> None:
    _, raw = row("S+D+X+C")
    # To 0.07, because the columns that they are averaged from are printed rounded (knowledge: 48.965 from these, 48.9 printed).
    published = {"general": 67.2, "knowledge": 48.9, "ocr_chart": 50.1, "vision_centric": 52.6}
    assert averages(raw).categories == pytest.approx(published, abs=0.07)


def test_raw_scores_are_kept_beside_the_scaled_ones() -> None:
    averaged = averages({"ocr_bench": 357, "mme_perception": 1500.0})
    assert averaged.raw == {"ocr_bench": 357, "mme_perception": 1500.0}
    assert averaged.scaled == pytest.approx({"mme_perception": 75.0, "ocr_bench": 35.7})


@given(st.dictionaries(st.sampled_from(SIXTEEN), st.floats(0, 100), min_size=1))
def test_categories_count_alike_however_many_benchmarks_they_have(percent: dict[str, float]) -> None:
    averaged = averages({name: score * BENCHMARKS[name].scale for name, score in percent.items()})
    by_category = {
        family: fmean(score for name, score in percent.items() if BENCHMARKS[name].category == family)
        for family in {BENCHMARKS[name].category for name in percent}
    }
    assert averaged.categories == pytest.approx(by_category)
    assert averaged.average == pytest.approx(fmean(by_category.values()))


def test_benchmarks_outside_the_sixteen_are_averaged_only_where_they_stand_alone() -> None:
    with_others = averages({"gqa": 60.0, "pope": 90.0, "mme_cognition": 400.0})
    assert (with_others.average, with_others.scaled["pope"], with_others.scaled["mme_cognition"]) == (60.0, 90.0, 50.0)
    assert averages({"pope": 90.0}).average == 90.0


def test_unknown_benchmarks_and_none_at_all_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown benchmark 'docvqa'; did you mean 'doc_vqa'"):
        averages({"docvqa": 50.0})
    with pytest.raises(ValueError, match="name at least one file"):
        averages({})


def test_the_catalogue_has_four_columns_a_category_and_names_what_exists() -> None:
    assert [BENCHMARKS[name].category for name in SIXTEEN] == [family for family in FAMILIES for _ in range(4)]
    assert {*FILES} == {*READERS}
    for benchmark in BENCHMARKS.values():
        assert benchmark.prompt in PROMPT_KINDS
        assert (benchmark.open_prompt or benchmark.prompt) in PROMPT_KINDS
        assert {benchmark.scorer, benchmark.open_scorer or benchmark.scorer} <= {*SCORERS}
