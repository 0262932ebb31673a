"""Which benchmarks measure the same: correlations over runs, two principal components, and clusters."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from opabinia.evaluation.report import TrialReport
from opabinia.evaluation.statistics.clustering import Floats

CLUSTERS = 4
"""As many as the families of the Cambrian study (Tong et al. 2024, §3.1)."""


@dataclass(frozen=True, slots=True)
class BenchmarkMap:
    """B benchmarks over R runs. `correlations` (B, B) is Pearson's r.

    `places` (B, 2) are the benchmarks' loadings on the first two components of the standardised scores: their correlations
    with them, so that a benchmark that both explain wholly lies on the unit circle. `explained` (2,) are the components' parts of
    the variance. `clusters` numbers each benchmark's cluster, from 0, in the order they first occur. `agreement` is the adjusted
    Rand index of clusters and categories: 1 the same, about 0 where they have nothing to do with each other.
    """

    benchmarks: tuple[str, ...]
    categories: tuple[str, ...]
    runs: int
    correlations: Floats
    places: Floats
    explained: Floats
    clusters: tuple[int, ...]
    agreement: float


def map_benchmarks(categories: Mapping[str, str], scores: NDArray[np.float64]) -> BenchmarkMap:
    """Map benchmarks by their scores (R, B) over runs; `categories` gives each column's benchmark and category, in order.

    Tong et al. 2024, §3.1: the clusters join benchmarks by average linkage on the distance 1 − r. Raises ValueError with fewer than
    three runs or two benchmarks, or where all runs score the same on a benchmark, which then correlates with nothing.
    """
    names = tuple(categories)
    _refuse_what_cannot_be_mapped(names, scores)
    standard = (scores - scores.mean(axis=0)) / scores.std(axis=0)
    correlations = np.clip(standard.T @ standard / len(scores), -1.0, 1.0)
    places, explained = _components(correlations)
    clusters = _clusters(correlations)
    kinds = tuple(categories.values())
    return BenchmarkMap(
        names, kinds, len(scores), correlations, places, explained, clusters, _agreement(kinds, clusters)
    )


def map_json(mapped: BenchmarkMap) -> str:
    """Every number of the map, as one JSON object."""
    return json.dumps({name: _listed(value) for name, value in asdict(mapped).items()}, indent=1)


def task_scores(reports: Sequence[TrialReport]) -> tuple[dict[str, str], NDArray[np.float64]]:
    """The scores with the image of finished trials on every task, (R, B), for `map_benchmarks`, by task with its family.

    Raises ValueError where trials were scored on different tasks.
    """
    scored = [report.with_image for report in reports if report.status == "finished" and report.with_image]
    tasks = list(scored[0].tasks) if scored else []
    for scores in scored:
        if set(scores.tasks) != set(tasks):
            odd = min(set(scores.tasks) ^ set(tasks))
            raise ValueError(f"reports: {odd} was not scored in every trial; score all on one benchmark")
    values = np.array([[scores.tasks[task] for task in tasks] for scores in scored], dtype=np.float64)
    return {task: task.split("/", 1)[0] for task in tasks}, values.reshape(len(scored), len(tasks))


def _listed(value: object) -> object:
    return value.tolist() if isinstance(value, np.ndarray) else value


def _refuse_what_cannot_be_mapped(names: Sequence[str], scores: Floats) -> None:
    if scores.ndim != 2 or scores.shape[1] != len(names):
        raise ValueError(f"scores: shape {scores.shape} for {len(names)} benchmarks; give one column a benchmark")
    if len(scores) < 3 or len(names) < 2:
        raise ValueError(f"scores: {len(scores)} runs on {len(names)} benchmarks; a map needs 3 runs and 2 benchmarks")
    for name, spread in zip(names, np.ptp(scores, axis=0), strict=True):
        if not spread > 0:
            raise ValueError(f"scores: all runs score the same on {name}, or not at all; leave it out")


def _components(correlations: Floats) -> tuple[Floats, Floats]:
    values, vectors = np.linalg.eigh(correlations)
    values, vectors = values[::-1][:2].clip(min=0.0), vectors[:, ::-1][:, :2]
    # An eigenvector's sign is arbitrary: benchmarks mostly rise together, so they mostly point up.
    signs = np.where(vectors.sum(axis=0) < 0, -1.0, 1.0)
    return vectors * signs * np.sqrt(values), values / len(correlations)


def _clusters(correlations: Floats) -> tuple[int, ...]:
    from scipy.cluster.hierarchy import fcluster, linkage  # pyright: ignore
    from scipy.spatial.distance import squareform  # pyright: ignore

    distances = 1 - (correlations + correlations.T) / 2
    np.fill_diagonal(distances, 0.0)
    tree = linkage(squareform(distances), method="average")  # pyright: ignore
    labels = [int(label) for label in fcluster(tree, t=CLUSTERS, criterion="maxclust")]  # pyright: ignore
    number = {label: place for place, label in enumerate(dict.fromkeys(labels))}
    return tuple(number[label] for label in labels)


def _agreement(categories: Sequence[str], clusters: Sequence[int]) -> float:
    from sklearn.metrics import adjusted_rand_score  # pyright: ignore

    return float(adjusted_rand_score(list(categories), list(clusters)))
