"""Eagle's greedy selection: one encoder a round, until none helps."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opabinia.sweeps.searching.config import EncoderSet, RoundRobinSearch
from opabinia.sweeps.searching.round_robin import Round, Scores, current_round, normalised_averages

POOL = ("clip", "convnext", "sam", "dino", "pix2struct", "eva02")
EAGLE = RoundRobinSearch(start=("clip", "convnext"))
EVERY_SET = [frozenset(some) for size in range(2, 7) for some in combinations(POOL, size)]
WORLDS = st.fixed_dictionaries(
    {one: st.fixed_dictionaries({"a": st.integers(1, 9), "b": st.integers(1, 9)}) for one in EVERY_SET}
)


def score(**families: float) -> Scores:
    return families


def run_to_the_end(
    search: RoundRobinSearch, world: Mapping[frozenset[str], Scores]
) -> tuple[EncoderSet, list[EncoderSet]]:
    """What was selected, and the sets that were trained, in their order."""
    trained: dict[frozenset[str], Scores] = {}
    order: list[EncoderSet] = []
    while not (now := current_round(search, POOL, trained)).is_over:
        order += now.candidates
        trained |= {frozenset(one): world[frozenset(one)] for one in now.candidates}
    return current_round(search, POOL, trained).best, order


def test_the_first_round_trains_the_start_and_each_encoder_beside_it() -> None:
    assert current_round(EAGLE, POOL, {}).candidates == (
        ("clip", "convnext"),
        *(("clip", "convnext", one) for one in ("sam", "dino", "pix2struct", "eva02")),
    )


def test_a_round_waits_for_all_of_its_candidates() -> None:
    scored = {frozenset(one): score(a=50.0) for one in current_round(EAGLE, POOL, {}).candidates[:-1]}
    assert current_round(EAGLE, POOL, scored).candidates == (("clip", "convnext", "eva02"),)


def test_eagles_own_path() -> None:
    """X4 is A+B+E+F and X5 adds C; DINOv2 is not selected. Ten trainings after the pair at most: 4 + 3 + 2 (+ 1)."""
    worth = {"clip": 5.0, "convnext": 5.0, "eva02": 4.0, "pix2struct": 3.0, "sam": 1.0, "dino": -1.0}
    world = {one: score(average=40 + sum(worth[name] for name in one)) for one in EVERY_SET}
    selected, trained = run_to_the_end(EAGLE, world)
    assert set(selected) == {"clip", "convnext", "pix2struct", "eva02", "sam"}
    assert len(trained) == 1 + 4 + 3 + 2 + 1


def test_it_ends_where_no_encoder_helps() -> None:
    world = {one: score(average=90.0 - len(one)) for one in EVERY_SET}
    selected, trained = run_to_the_end(EAGLE, world)
    assert selected == ("clip", "convnext")
    assert len(trained) == 1 + 4


def test_it_ends_at_the_most_encoders_that_were_asked_for() -> None:
    world = {one: score(average=10.0 * len(one)) for one in EVERY_SET}
    selected, _ = run_to_the_end(EAGLE.model_copy(update={"most": 3}), world)
    assert len(selected) == 3


def test_no_benchmark_weighs_more_for_its_scale() -> None:
    """The second is ahead by a tenth of one benchmark and behind by a fifth of the other, whatever their units."""
    assert normalised_averages([score(mme=1500, gqa=50), score(mme=1350, gqa=62.5)]) == pytest.approx([0.9, 0.95])
    assert normalised_averages([score(mme=75, gqa=50), score(mme=67.5, gqa=62.5)]) == pytest.approx([0.9, 0.95])


def test_nothing_scored_by_anybody_counts_for_nobody() -> None:
    assert normalised_averages([score(a=0.0, b=10.0), score(a=0.0, b=5.0)]) == [1.0, 0.75]


def test_sets_scored_on_different_benchmarks_are_refused() -> None:
    with pytest.raises(ValueError, match="round_robin: the sets were scored on different benchmarks"):
        normalised_averages([score(a=1.0), score(b=1.0)])


@given(WORLDS)
def test_every_set_on_its_path_beats_the_one_before_and_all_others_of_its_round(
    world: dict[frozenset[str], Scores],
) -> None:
    selected, trained = run_to_the_end(EAGLE, world)
    path = current_round(EAGLE, POOL, world).path
    assert path[-1] == selected
    for before, after in pairwise(path):
        others = [(*before, one) for one in POOL if one not in before]
        merits = dict(
            zip([before, *others], normalised_averages([world[frozenset(s)] for s in (before, *others)]), strict=True)
        )
        assert merits[after] == max(merits.values()) > merits[before]
    assert len({frozenset(one) for one in trained}) == len(trained)


@given(WORLDS, st.integers(0, 15))
def test_a_search_that_was_cut_off_trains_nothing_again(world: dict[frozenset[str], Scores], after: int) -> None:
    selected, trained = run_to_the_end(EAGLE, world)
    kept = {frozenset(one): world[frozenset(one)] for one in trained[:after]}
    rest: list[EncoderSet] = []
    while not (now := current_round(EAGLE, POOL, kept)).is_over:
        rest += now.candidates
        kept |= {frozenset(one): world[frozenset(one)] for one in now.candidates}
    assert [*trained[:after], *rest] == trained
    assert now.best == selected


def test_a_set_that_failed_is_not_waited_for_and_not_selected() -> None:
    world = {one: score(average=10.0 * len(one) + ("sam" in one)) for one in EVERY_SET}
    with_sam = {one for one in EVERY_SET if "sam" in one}
    first = current_round(EAGLE, POOL, {one: world[one] for one in EVERY_SET if one not in with_sam}, with_sam)
    assert set(first.best) == set(POOL) - {"sam"}


def test_a_start_that_failed_ends_the_selection() -> None:
    assert current_round(EAGLE, POOL, {}, [frozenset(EAGLE.start)]) == Round(EAGLE.start, (), (EAGLE.start,))
