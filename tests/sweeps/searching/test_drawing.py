"""A random search runs some of the grid: as many as asked for, none twice, the same ones every time."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from connectors.settings.mlp import MlpSettings
from connectors.settings.sva import SvaSettings
from opabinia.sweeps.searching.config import GridSearch, RandomSearch
from opabinia.sweeps.searching.drawing import searched
from opabinia.sweeps.space import SweepConfig, trials

items = st.lists(st.integers(), unique=True, max_size=20)


def test_a_grid_is_everything() -> None:
    assert searched("abc", GridSearch()) == ["a", "b", "c"]


@given(items, st.integers(1, 25), st.integers(0, 9))
def test_a_draw_has_as_many_as_asked_for_in_their_order_and_none_twice(
    things: list[int], samples: int, seed: int
) -> None:
    drawn = searched(things, RandomSearch(type="random", samples=samples, seed=seed))
    assert len(drawn) == min(samples, len(things))
    assert drawn == [thing for thing in things if thing in drawn]
    assert drawn == searched(things, RandomSearch(type="random", samples=samples, seed=seed))


@given(items, st.integers(1, 20), st.integers(0, 9))
def test_more_samples_are_the_fewer_ones_and_others(things: list[int], samples: int, seed: int) -> None:
    few, more = (searched(things, RandomSearch(type="random", samples=n, seed=seed)) for n in (samples, samples + 1))
    assert set(few) <= set(more)


def test_every_item_is_drawn_about_as_often_as_any_other() -> None:
    drawn = Counter(
        item for seed in range(2000) for item in searched("abcde", RandomSearch(type="random", samples=2, seed=seed))
    )
    assert all(700 < count < 900 for count in drawn.values()), "two fifths of 2,000, give or take five deviations"


def test_each_configuration_that_is_drawn_is_run_with_every_seed() -> None:
    search = RandomSearch(type="random", samples=3)
    config = SweepConfig(pool=("a", "b", "c"), connectors=(MlpSettings(), SvaSettings()), repeats=4, search=search)
    drawn = Counter((trial.encoders, trial.label) for trial in trials(config))
    assert sorted(drawn.values()) == [4, 4, 4]
    everything = {trial.name for trial in trials(config.model_copy(update={"search": GridSearch()}))}
    assert {trial.name for trial in trials(config)} < everything
