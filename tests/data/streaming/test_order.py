from __future__ import annotations

import subprocess
import sys
from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from opabinia.data.streaming.order import SampleOrder, shuffled

COUNTS = st.lists(st.integers(0, 9), min_size=1, max_size=8).filter(any).map(tuple)


def records(order: SampleOrder, start: int, stop: int) -> list[tuple[int, int]]:
    """(shard, row) of samples `start` to before `stop`."""
    return [(part.shard, int(row)) for part in order.stretches(start, stop) for row in part.rows]


@given(COUNTS, st.integers(0, 5), st.integers(0, 3))
def test_every_epoch_holds_every_record_once(counts: tuple[int, ...], seed: int, epoch: int) -> None:
    order = SampleOrder(counts, seed)
    size = order.samples_per_epoch
    expected = Counter((shard, row) for shard, count in enumerate(counts) for row in range(count))
    assert Counter(records(order, epoch * size, (epoch + 1) * size)) == expected


@given(COUNTS, st.integers(0, 60), st.integers(0, 30), st.integers(0, 30))
def test_however_the_stream_is_cut_it_is_the_same(counts: tuple[int, ...], start: int, first: int, then: int) -> None:
    order = SampleOrder(counts, seed=3)
    whole = records(order, start, start + first + then)
    assert whole == records(order, start, start + first) + records(order, start + first, start + first + then)


@given(COUNTS, st.integers(0, 100))
def test_a_position_names_the_record_that_comes_next(counts: tuple[int, ...], sample: int) -> None:
    order = SampleOrder(counts, seed=1)
    at = order.position(sample)
    assert at.epoch == sample // order.samples_per_epoch
    (only,) = order.stretches(sample, sample + 1)
    begun = at.epoch * order.samples_per_epoch
    of_shard = [row for shard, row in records(order, begun, begun + order.samples_per_epoch) if shard == at.shard]
    assert (only.shard, int(only.rows[0])) == (at.shard, of_shard[at.offset])


def test_epochs_differ_and_seeds_differ_and_equal_seeds_agree() -> None:
    one, two = (records(SampleOrder((5,) * 20, seed), 0, 200) for seed in (1, 2))
    assert one == records(SampleOrder((5,) * 20, 1), 0, 200)
    assert one != two
    assert one[:100] != one[100:]


@given(st.integers(0, 200), st.integers())
def test_a_shuffle_is_a_permutation(length: int, seed: int) -> None:
    assert sorted(shuffled(length, seed)) == list(range(length))


def test_all_orders_of_three_come_equally_often() -> None:
    found = Counter(tuple(shuffled(3, seed).tolist()) for seed in range(6000))
    assert len(found) == 6
    # Five standard deviations of a fair draw.
    assert all(abs(count - 1000) < 5 * (1000 * 5 / 6) ** 0.5 for count in found.values())


def test_a_shuffle_keeps_no_neighbours_together() -> None:
    order = shuffled(10_000, 1, 2)
    assert abs(np.corrcoef(order[1:], order[:-1])[0, 1]) < 0.05
    assert abs(np.corrcoef(order, shuffled(10_000, 1, 3))[0, 1]) < 0.05


def test_the_order_depends_on_no_process_and_no_version() -> None:
    code = "from opabinia.data.streaming.order import shuffled; print(shuffled(12, 3, 0, 5).tolist())"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == str(shuffled(12, 3, 0, 5).tolist()) == "[11, 9, 2, 8, 4, 10, 3, 5, 0, 1, 6, 7]"
