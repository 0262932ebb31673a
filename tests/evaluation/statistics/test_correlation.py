from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.cluster import AgglomerativeClustering
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score

from opabinia.evaluation.scoring import FamilyScores
from opabinia.evaluation.statistics.correlation import BenchmarkMap, map_benchmarks, task_scores
from tests.evaluation.specimens import report

FAMILIES = ("general", "knowledge", "ocr_chart", "vision_centric")
CATEGORIES = {f"{family}/{n}": family for family in FAMILIES for n in range(3)}


def runs(count: int = 60, noise: float = 0.3) -> NDArray[np.float64]:
    """Each family's benchmarks follow a skill of the run in that family, and one in all."""
    rng = np.random.default_rng(0)
    skills = rng.normal(size=(count, 1)) + 1.5 * rng.normal(size=(count, 4))
    return 50 + 10 * (np.repeat(skills, 3, axis=1) + noise * rng.normal(size=(count, 12)))


def found(scores: NDArray[np.float64] | None = None) -> BenchmarkMap:
    return map_benchmarks(CATEGORIES, runs() if scores is None else scores)


def test_planted_families_are_found_again() -> None:
    mapped = found()
    assert mapped.clusters == (0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3)
    assert mapped.agreement == 1.0
    assert mapped.runs == 60


def test_without_families_the_clusters_agree_with_the_categories_by_chance_only() -> None:
    mapped = found(np.random.default_rng(1).normal(size=(60, 12)))
    assert abs(mapped.agreement) < 0.35
    assert mapped.agreement == adjusted_rand_score(list(mapped.categories), list(mapped.clusters))


def test_clusters_are_joined_by_their_average_distance() -> None:
    mapped = found(np.random.default_rng(1).normal(size=(60, 12)))
    joined = AgglomerativeClustering(4, metric="precomputed", linkage="average").fit(1 - mapped.correlations)
    assert adjusted_rand_score(joined.labels_, list(mapped.clusters)) == 1.0


def test_correlations_and_components_are_those_of_the_standardised_scores() -> None:
    scores, mapped = runs(), found()
    assert mapped.correlations == pytest.approx(np.corrcoef(scores, rowvar=False))
    standard = (scores - scores.mean(axis=0)) / scores.std(axis=0)
    components = PCA(2).fit(standard)
    assert mapped.explained == pytest.approx(components.explained_variance_ratio_)
    projected = components.transform(standard)
    loadings = np.corrcoef(standard, projected, rowvar=False)[:12, 12:]
    assert np.abs(mapped.places) == pytest.approx(np.abs(loadings), abs=1e-8)


def test_a_benchmarks_scale_does_not_matter() -> None:
    scores = runs()
    stretched = scores * np.geomspace(0.1, 20, 12) + 3
    assert found(stretched).places == pytest.approx(found(scores).places)
    assert found(stretched).clusters == found(scores).clusters


def test_benchmarks_lie_in_the_unit_circle_and_mostly_up() -> None:
    places = found().places
    assert np.all(np.linalg.norm(places, axis=1) <= 1 + 1e-9)
    assert np.all(places.sum(axis=0) >= 0)


def test_what_cannot_be_mapped_is_refused() -> None:
    flat = runs()
    flat[:, 4] = 25.0
    with pytest.raises(ValueError, match="all runs score the same on knowledge/1"):
        found(flat)
    unknown = runs()
    unknown[3, 4] = np.nan
    with pytest.raises(ValueError, match="knowledge/1, or not at all"):
        found(unknown)
    with pytest.raises(ValueError, match="2 runs on 12 benchmarks; a map needs 3 runs"):
        found(runs(2))
    with pytest.raises(ValueError, match=r"shape \(60, 11\) for 12 benchmarks"):
        found(runs()[:, :11])


def test_the_tasks_of_finished_trials_are_lined_up_by_name() -> None:
    first = FamilyScores({"general": 45}, {"general/colour": 40, "general/shape": 50}, {}, {"general": 2})
    second = replace(first, tasks={"general/shape": 60, "general/colour": 70})
    reports = [
        report(with_image=first), report(with_image=second), report(with_image=first, status="stopped"), report()
    ]  # fmt: skip
    categories, scores = task_scores(reports)
    assert categories == {"general/colour": "general", "general/shape": "general"}
    assert scores.tolist() == [[40, 50], [70, 60]]
    with pytest.raises(ValueError, match="general/size was not scored in every trial"):
        task_scores([reports[0], report(with_image=replace(first, tasks={**first.tasks, "general/size": 1}))])
