from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opabinia.data.streaming.packing import pack, padding_share, row_lengths

LENGTHS = st.lists(st.integers(1, 60), max_size=60).map(lambda lengths: np.array(lengths, dtype=np.int64))
CAPACITIES = st.integers(1, 80)


@given(LENGTHS, CAPACITIES)
def test_every_sample_is_in_one_pack_and_packs_keep_the_order(lengths: np.ndarray, capacity: int) -> None:
    packs = pack(lengths, capacity)
    assert sorted(sample for samples in packs for sample in samples.tolist()) == list(range(len(lengths)))
    assert all(len(samples) and (np.diff(samples) > 0).all() for samples in packs)


@given(LENGTHS, CAPACITIES)
def test_only_a_sample_that_is_too_long_by_itself_exceeds_the_capacity(lengths: np.ndarray, capacity: int) -> None:
    for samples in pack(lengths, capacity):
        assert lengths[samples].sum() <= capacity or len(samples) == 1


@given(LENGTHS, CAPACITIES)
def test_no_two_packs_could_have_been_one(lengths: np.ndarray, capacity: int) -> None:
    held = row_lengths(lengths, pack(lengths, capacity))
    assert all(one + other > capacity for one, other in combinations(held.tolist(), 2))


@given(LENGTHS, CAPACITIES)
def test_the_same_lengths_are_packed_the_same_way(lengths: np.ndarray, capacity: int) -> None:
    one, other = pack(lengths, capacity), pack(lengths.copy(), capacity)
    assert [samples.tolist() for samples in one] == [samples.tolist() for samples in other]


def test_packs_of_a_small_case() -> None:
    packs = pack(np.array([2, 7, 5, 3, 3]), 10)
    assert [samples.tolist() for samples in packs] == [[1, 3], [0, 2, 4]]


def test_many_samples_fill_rows_to_the_last_hundredth() -> None:
    """Lengths of all sizes up to the capacity: half of the rows' tokens would be padding with a sample a row."""
    lengths = np.random.default_rng(0).integers(1, 2049, 4096)
    held = row_lengths(lengths, pack(lengths, 2048))
    assert padding_share(lengths, 1024) > 0.49
    assert padding_share(held, len(held)) < 0.01


@pytest.mark.parametrize(
    ("lengths", "batch", "share"),
    [
        ([4, 2, 3, 3], 2, 2 / 14),
        ([4, 2, 3, 3], 4, 4 / 16),
        ([5, 1, 2], 2, 4 / 12),
        ([7, 1, 9], 1, 0.0),
        ([], 4, 0.0),
    ],
)
def test_padding_is_what_every_batch_lacks_to_its_longest(lengths: list[int], batch: int, share: float) -> None:
    assert padding_share(np.array(lengths, dtype=np.int64), batch) == pytest.approx(share)
