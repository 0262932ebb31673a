"""HyperBand's brackets: how many trials begin with how much, and who goes on."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opabinia.sweeps.scheduling import SchedulerConfig
from opabinia.sweeps.searching.hyperband import Bracket, Reported, brackets, targets

TWO = SchedulerConfig(type="hyperband")


def test_the_brackets_are_those_of_the_papers_table() -> None:
    """Li et al. 2018, Table 1: R = 81, η = 3."""
    assert brackets(SchedulerConfig(type="hyperband", reduction_factor=3), 81) == [
        Bracket(81, (1, 3, 9, 27, 81)),
        Bracket(34, (3, 9, 27, 81)),
        Bracket(15, (9, 27, 81)),
        Bracket(8, (27, 81)),
        Bracket(5, (81,)),
    ]


def test_no_bracket_begins_below_the_grace() -> None:
    assert brackets(TWO.model_copy(update={"grace": 2}), 4) == [Bracket(2, (2, 4)), Bracket(2, (4,))]
    assert brackets(TWO, 1) == [Bracket(1, (1,))]


@given(st.integers(1, 40), st.integers(2, 4), st.integers(1, 4))
def test_every_bracket_ends_with_whole_trials(reports: int, eta: int, grace: int) -> None:
    config = SchedulerConfig(type="hyperband", reduction_factor=eta, grace=min(grace, reports))
    for bracket in brackets(config, reports):
        assert bracket.rungs[-1] == reports
        assert config.grace <= bracket.rungs[0]
        assert list(bracket.rungs) == sorted(set(bracket.rungs))


def run(
    names: list[str], worth: dict[str, float], reports: int, config: SchedulerConfig = TWO, lost: str = ""
) -> dict[str, list[float | None]]:
    """What every trial told in the end, and none more than once; a trial scores what it is worth."""
    told: dict[str, list[float | None]] = {name: [] for name in names}
    while wanted := targets(config, {name: Reported(told[name], reports) for name in names}, [lost]):
        for name, goal in wanted.items():
            assert len(told[name]) < goal <= reports
            told[name] += [worth[name]] * (goal - len(told[name]))
    return told


def test_the_best_of_each_rung_go_on() -> None:
    """Four reports: four trials from 1 to 2 to 4, three from 2 to 4, three to the end."""
    names = [f"trial-{number}" for number in range(10)]
    worth = {name: float(number) for number, name in enumerate(names)}
    told = run(names, worth, 4)
    assert Counter(map(len, told.values())) == {1: 2, 2: 1 + 2, 4: 1 + 1 + 3}
    # The best of all is the best of its bracket.
    assert len(told["trial-9"]) == 4


def test_a_small_score_can_be_good() -> None:
    names = [f"trial-{number}" for number in range(10)]
    worth = {name: float(number) for number, name in enumerate(names)}
    assert len(run(names, worth, 4, TWO.model_copy(update={"mode": "min"}))["trial-0"]) == 4


def test_a_trial_that_failed_is_not_waited_for_and_does_not_go_on() -> None:
    names = ["a", "b", "c", "d"]
    told = run(names, {"a": 9.0, "b": 1.0, "c": 2.0, "d": 3.0}, 2, lost="a")
    assert told["a"] == []
    assert max(len(told[name]) for name in "bcd") == 2


def test_a_rung_waits_for_all_of_its_bracket() -> None:
    names = ["a", "b"]
    (bracket, _) = brackets(TWO, 2)
    assert bracket == Bracket(2, (1, 2))
    half = {"a": Reported([50.0], 2), "b": Reported([], 2)}
    assert targets(TWO, half) == {"b": 1}
    assert targets(TWO, {"a": Reported([50.0], 2), "b": Reported([40.0], 2)}) == {"a": 2}
    assert names == sorted(half)


def test_trials_with_fewer_reports_than_others_are_compared_by_their_last() -> None:
    assert targets(TWO, {"a": Reported([50.0], 1), "b": Reported([40.0], 2)}) == {}
    assert targets(TWO, {"a": Reported([30.0], 1), "b": Reported([40.0], 2)}) == {"b": 2}


@given(st.integers(1, 25), st.integers(1, 9), st.integers(0, 5))
def test_whoever_stops_was_beaten_in_its_bracket_and_somebody_is_whole(count: int, reports: int, seed: int) -> None:
    names = [f"t{number}" for number in range(count)]
    draw = random.Random(seed)
    worth = {name: draw.random() for name in names}
    told = run(names, worth, reports)
    assert all(told.values())
    assert any(len(scores) == reports for scores in told.values())


@pytest.mark.parametrize("after", range(12))
def test_a_sweep_that_was_cut_off_decides_the_same(after: int) -> None:
    """With what was told so far in any order of the trials."""
    names = [f"trial-{number}" for number in range(10)]
    worth = {name: float(number) for number, name in enumerate(names)}
    whole = run(names, worth, 4)
    partly = {name: whole[name][: (after + place) % 3] for place, name in enumerate(names)}
    told = {name: list(scores) for name, scores in partly.items()}
    while wanted := targets(TWO, {name: Reported(told[name], 4) for name in reversed(names)}):
        for name, goal in wanted.items():
            told[name] += [worth[name]] * (goal - len(told[name]))
    assert told == whole
