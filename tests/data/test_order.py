from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opabinia.data.order import Visit, plan_visits, shuffled

COUNTS = [4, 0, 7, 2]


def plan(samples: int, seed: int = 1, counts: list[int] = COUNTS) -> list[Visit]:
    return plan_visits(len(counts), counts.__getitem__, seed=seed, samples=samples)


@given(st.lists(st.integers(0, 9), min_size=1).filter(any), st.integers(0, 100), st.integers(0, 5))
def test_visits_add_up_to_the_samples_and_each_epoch_uses_everything_once(
    counts: list[int], samples: int, seed: int
) -> None:
    visits = plan(samples, seed, counts)
    assert sum(visit.rows for visit in visits) == samples
    rows = Counter[tuple[int, int]]()
    for visit in visits:
        rows[visit.epoch, visit.shard] += visit.rows
    full_epochs = samples // sum(counts)
    for epoch in range(full_epochs):
        assert [rows[epoch, shard] for shard in range(len(counts))] == counts


def test_epochs_differ_and_seeds_differ_and_equal_seeds_agree() -> None:
    counts = [1] * 20
    one, two = (plan(40, seed, counts) for seed in (1, 2))
    assert one == plan(40, 1, counts)
    assert [v.shard for v in one] != [v.shard for v in two]
    assert [v.shard for v in one[:20]] != [v.shard for v in one[20:]]


def test_a_short_plan_counts_only_the_shards_it_visits() -> None:
    asked = list[int]()
    plan_visits(1000, lambda shard: asked.append(shard) or 10, seed=0, samples=25)
    assert len(asked) <= 4


def test_shards_without_a_usable_record_are_an_error_not_an_endless_loop() -> None:
    with pytest.raises(ValueError, match="none of its records can be used"):
        plan(5, counts=[0, 0])


def test_the_permutation_does_not_depend_on_the_process() -> None:
    code = "from opabinia.data.order import shuffled; print(shuffled(12, 3, 0, 5))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == str(shuffled(12, 3, 0, 5))
    assert sorted(shuffled(12, 3, 0, 5)) == list(range(12))
