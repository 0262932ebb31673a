"""The tree-structured Parzen estimator as our search uses it: it learns, repeats itself with a seed, and draws nothing twice."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import fmean

import pytest

from connectors.settings.mlp import MlpSettings
from connectors.settings.sva import SvaSettings
from opabinia.sweeps.searching.config import TPESearch
from opabinia.sweeps.searching.points import Axes, Point
from opabinia.sweeps.searching.ranges import Range
from opabinia.sweeps.searching.tpe import Tried, next_point

AXES = Axes(
    {"a": ("a",), "b": ("b",), "a+b": ("a", "b")},
    {"sva": SvaSettings(), "mlp2x_gelu": MlpSettings()},
    {None: None},
    {
        "connector.sva.depth": (1, 2, 3),
        "connector.sva.groups": ((), (16,), (4, 16)),
        "stages.align.lr": Range(low=1e-4, high=1e-2, log=True),
        "stages.align.batch": (32, 64),
    },
)
SMALL = Axes({"a": ("a",), "b": ("b",)}, {"sva": SvaSettings()}, {None: None}, {"connector.sva.depth": (1, 2, 3)})


def search(samples: int = 40, **settings: int) -> TPESearch:
    return TPESearch(type="tpe", samples=samples, **settings)


def merit(point: Point) -> float:
    """Best at a+b, sva, depth 3, a rate of 1e-3."""
    lr = point["stages.align.lr"]
    assert isinstance(lr, float)
    depth = point.get("connector.sva.depth", 0)
    assert isinstance(depth, int)
    return 10 * (point["encoders"] == "a+b") + 3 * depth - 8 * abs(math.log10(lr) + 3)


def run(
    axes: Axes, config: TPESearch, score: Callable[[Point], float], tried: list[Tried] | None = None
) -> list[Tried]:
    tried = list(tried or [])
    while len(tried) < config.samples and (point := next_point(axes, config, tried)) is not None:
        tried.append(Tried(point, "finished", score(point), 4))
    return tried


def test_settings_exist_only_with_what_they_are_settings_of() -> None:
    points = [one.point for one in run(AXES, search(), merit)]
    assert {point["connector"] for point in points} == {"sva", "mlp2x_gelu"}
    for point in points:
        has = {path for path in point if path.startswith("connector.")}
        assert has == ({"connector.sva.depth", "connector.sva.groups"} if point["connector"] == "sva" else set())
        assert {"stages.align.lr", "stages.align.batch"} <= point.keys()


def test_values_are_those_of_the_space() -> None:
    for one in run(AXES, search(), merit):
        lr = one.point["stages.align.lr"]
        assert isinstance(lr, float) and 1e-4 <= lr <= 1e-2
        assert float(f"{lr:.3g}") == lr, "its name tells all of it"
        assert one.point["stages.align.batch"] in (32, 64)
        assert one.point.get("connector.sva.groups", ()) in ((), (16,), (4, 16))


def test_it_learns_from_the_scores() -> None:
    """After its random start it draws better than at random: over five searches, on average, by far."""
    runs = [run(AXES, search(seed=seed), merit) for seed in range(5)]
    start = fmean(one.score or 0 for tried in runs for one in tried[:10])
    end = fmean(one.score or 0 for tried in runs for one in tried[-15:])
    assert end > start + 5


def test_nothing_is_drawn_twice_and_a_small_space_comes_to_its_end() -> None:
    points = [one.point for one in run(SMALL, search(), lambda point: float(point["connector.sva.depth"] == 2))]
    assert len(points) == 6
    assert len({tuple(sorted(point.items())) for point in points}) == 6


def test_the_same_seed_draws_the_same_and_another_others() -> None:
    first, again, other = (run(AXES, search(15, seed=seed), merit) for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize("after", [3, 12])
def test_a_search_that_was_cut_off_goes_on_as_if_it_had_not_been(after: int) -> None:
    whole = run(AXES, search(16), merit)
    assert run(AXES, search(16), merit, whole[:after]) == whole
    assert run(AXES, search(12), merit) == whole[:12], "more samples are the fewer ones and others"


def test_a_trial_that_runs_is_not_drawn_again() -> None:
    tried: list[Tried] = []
    for _ in range(6):
        point = next_point(SMALL, search(), tried)
        assert point is not None
        tried.append(Tried(point, "running"))
    assert next_point(SMALL, search(), tried) is None


def test_failed_and_stopped_trials_count_as_tried() -> None:
    tried = run(SMALL, search(4), lambda point: 1.0)
    mixed = [
        Tried(tried[0].point, "failed"),
        Tried(tried[1].point, "stopped", 10.0, 2),
        Tried(tried[2].point, "finished", None),
        Tried(tried[3].point, "stopped", None),
    ]
    more = run(SMALL, search(6), lambda point: 1.0, mixed)
    assert len({tuple(sorted(one.point.items())) for one in more}) == 6


def test_stopped_trials_teach_too() -> None:
    """Those of one encoder set were all stopped, and with less: it is drawn less than the others."""

    def became(point: Point) -> Tried:
        bad = point["encoders"] == "a"
        return Tried(point, "stopped" if bad else "finished", 10.0 if bad else 50.0, 2 if bad else 4)

    drawn = list[Tried]()
    while len(drawn) < 40:
        point = next_point(AXES, search(40), drawn)
        assert point is not None
        drawn.append(became(point))
    assert sum(one.state == "stopped" for one in drawn[20:]) < 20 / 3


def test_points_that_the_space_has_no_longer_are_left_out() -> None:
    before = run(AXES, search(12), merit)
    fewer = Axes(
        {"b": ("b",)}, AXES.connectors, AXES.variants, {"stages.align.lr": Range(low=1e-3, high=1e-2, log=True)}
    )
    point = next_point(fewer, search(), before)
    assert point is not None
    assert point["encoders"] == "b"
    assert point.keys() == {"encoders", "connector", "stages.align.lr"}
