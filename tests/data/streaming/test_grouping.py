from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from opabinia.data.streaming.grouping import group_by_length
from opabinia.data.streaming.packing import padding_share

SAMPLES = st.lists(st.tuples(st.integers(1, 50), st.booleans()), max_size=80)
BATCHES = st.integers(1, 9)
SEEDS = st.integers(0, 2**40)


def columns(samples: list[tuple[int, bool]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([n for n, _ in samples], dtype=np.int64), np.array([kind for _, kind in samples], dtype=np.bool_)


def runs(order: np.ndarray, batch: int) -> list[np.ndarray]:
    return [order[start : start + batch] for start in range(0, len(order), batch)]


@given(SAMPLES, BATCHES, SEEDS)
def test_every_sample_stays_exactly_once(samples: list[tuple[int, bool]], batch: int, seed: int) -> None:
    order = group_by_length(*columns(samples), batch, seed)
    assert sorted(order.tolist()) == list(range(len(samples)))


@given(SAMPLES, BATCHES, SEEDS)
def test_as_many_runs_as_possible_are_of_one_kind(samples: list[tuple[int, bool]], batch: int, seed: int) -> None:
    lengths, pictured = columns(samples)
    whole = [run for run in runs(group_by_length(lengths, pictured, batch, seed), batch) if len(run) == batch]
    alike = Counter(bool(pictured[run[0]]) for run in whole if len(set(pictured[run])) == 1)
    for kind in (True, False):
        assert alike[kind] == int((pictured == kind).sum()) // batch


@given(SAMPLES, BATCHES, SEEDS)
def test_runs_of_one_kind_do_not_overlap_in_length(samples: list[tuple[int, bool]], batch: int, seed: int) -> None:
    lengths, pictured = columns(samples)
    whole = [run for run in runs(group_by_length(lengths, pictured, batch, seed), batch) if len(run) == batch]
    for kind in (True, False):
        spans = sorted((lengths[run].min(), lengths[run].max()) for run in whole if (pictured[run] == kind).all())
        assert all(longest <= shortest for (_, longest), (shortest, _) in pairwise(spans))


@given(SAMPLES, BATCHES, SEEDS)
def test_the_order_follows_from_the_seed(samples: list[tuple[int, bool]], batch: int, seed: int) -> None:
    one, other = (group_by_length(*columns(samples), batch, seed) for _ in range(2))
    assert one.tolist() == other.tolist()


def test_another_seed_gives_other_batches_in_another_order() -> None:
    lengths, pictured = np.repeat(np.arange(1, 41), 16), np.arange(640) % 5 > 0
    one, other = (runs(group_by_length(lengths, pictured, 16, seed), 16) for seed in (0, 1))
    assert {frozenset(run.tolist()) for run in one} != {frozenset(run.tolist()) for run in other}
    assert [lengths[run].max() for run in one] != [lengths[run].max() for run in other]


def test_the_order_is_this_one_on_every_machine() -> None:
    """Three texts, three with pictures, and what is left of both at the end."""
    lengths, pictured = np.array([5, 9, 3, 9, 5, 2, 7, 4]), np.array([1, 1, 0, 0, 1, 0, 1, 0], dtype=np.bool_)
    assert group_by_length(lengths, pictured, 3, 7).tolist() == [5, 2, 7, 0, 6, 1, 4, 3]


def test_batches_do_not_come_in_the_order_of_their_lengths() -> None:
    lengths = np.random.default_rng(0).integers(1, 1000, 4096)
    order = group_by_length(lengths, np.ones(4096, dtype=np.bool_), 16, 0)
    longest = [lengths[run].max() for run in runs(order, 16)]
    assert abs(np.corrcoef(longest, np.arange(len(longest)))[0, 1]) < 0.2


def test_grouped_batches_have_hardly_any_padding() -> None:
    random = np.random.default_rng(0)
    pictured = random.random(4096) < 0.9
    lengths = pictured * 576 + random.lognormal(5, 1, 4096).astype(np.int64) + 1
    order = group_by_length(lengths, pictured, 16, 0)
    assert padding_share(lengths, 16) > 0.4
    assert padding_share(lengths[order], 16) < 0.03
