"""Near hashes are found, all of them and nothing else, without comparing all with all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from opabinia.data.deduplication.near import first_alike, near_pairs

Hashes = NDArray[np.uint64]


def brute_force(left: list[int], right: list[int], distance: int) -> list[list[int]]:
    return [
        [i, j] for i, one in enumerate(left) for j, other in enumerate(right) if (one ^ other).bit_count() <= distance
    ]


def words(values: list[int]) -> Hashes:
    return np.array(values, dtype=np.uint64)


@st.composite
def clustered(draw: st.DrawFn) -> list[int]:
    """Hashes of which many are a few bits from another, and whose bits are not all alike likely."""
    mask = draw(st.integers(0, 2**64 - 1))
    centres = draw(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=4))
    members = st.tuples(st.sampled_from(centres), st.lists(st.integers(0, 63), max_size=8))
    chosen = draw(st.lists(members, max_size=25))
    return [(centre & mask) ^ sum(1 << bit for bit in set(bits)) for centre, bits in chosen]


@settings(deadline=None, max_examples=60)
@given(left=clustered(), right=clustered(), distance=st.integers(0, 8))
def test_pairs_are_those_of_comparing_all_with_all(left: list[int], right: list[int], distance: int) -> None:
    assert near_pairs(words(left), words(right), distance).tolist() == brute_force(left, right, distance)
    assert near_pairs(words(left), words(left), distance).tolist() == brute_force(left, left, distance)


@pytest.mark.parametrize("distance", [9, 11])
def test_the_farthest_distances_are_complete_too(distance: int) -> None:
    random = np.random.default_rng(distance)
    base = random.integers(0, 2**64, dtype=np.uint64)
    flips = [random.choice(64, size=random.integers(5, 13), replace=False) for _ in range(60)]
    near = [int(base) ^ sum(1 << int(bit) for bit in bits) for bits in flips]
    assert near_pairs(words([int(base)]), words(near), distance).tolist() == brute_force([int(base)], near, distance)


@pytest.mark.parametrize("distance", [-1, 12])
def test_distances_that_cannot_be_searched_are_refused(distance: int) -> None:
    with pytest.raises(ValueError, match=f"distance: expected 0 to 11 bits, got {distance}"):
        near_pairs(words([1]), words([2]), distance)


@settings(deadline=None, max_examples=60)
@given(hashes=clustered(), distance=st.integers(0, 6))
def test_a_copy_is_near_the_original_before_it_and_originals_are_not_near_each_other(
    hashes: list[int], distance: int
) -> None:
    first = first_alike(words(hashes), distance).tolist()
    originals = [place for place, original in enumerate(first) if place == original]
    for place, original in enumerate(first):
        near = [earlier for earlier in originals if (hashes[earlier] ^ hashes[place]).bit_count() <= distance]
        assert original == (near[0] if near and near[0] <= place else place)
        assert near[0] == original
    apart = [(hashes[one] ^ hashes[other]).bit_count() for one in originals for other in originals if one < other]
    assert all(bits > distance for bits in apart)


def test_a_chain_of_small_changes_is_not_one_picture() -> None:
    # Each is 2 bits from the one before and 4 from the one before that.
    assert first_alike(words([0b0, 0b11, 0b1111, 0b111111]), 2).tolist() == [0, 0, 2, 2]


@pytest.mark.parametrize("distance", [0, 3, 4])
def test_a_hundred_thousand_hashes_give_up_all_their_planted_copies_and_nothing_else(distance: int) -> None:
    random = np.random.default_rng(distance)
    hashes = random.integers(0, 2**64, 100_000, dtype=np.uint64)
    originals = random.choice(50_000, size=2_000, replace=False)
    copies = 50_000 + random.choice(50_000, size=2_000, replace=False)
    for original, copy in zip(originals, copies, strict=True):
        bits = random.choice(64, size=random.integers(0, distance + 1), replace=False)
        hashes[copy] = hashes[original] ^ np.uint64(sum(1 << int(bit) for bit in bits))
    # 10^5 random hashes hold some 5e9 pairs, of which one within 4 bits is expected by chance in 5,000 such sets.
    expected = np.arange(100_000)
    expected[copies] = originals
    assert (first_alike(hashes, distance) == expected).all()


def test_hashes_with_most_bits_alike_are_told_apart_without_comparing_all_with_all() -> None:
    # As of white pages: 40 bits never differ, so that bands of neighbouring bits would be constant.
    hashes = np.random.default_rng(0).integers(0, 2**24, 100_000, dtype=np.uint64) << np.uint64(17)
    values, counts = np.unique(hashes, return_counts=True)
    expected = int((counts**2).sum())
    for bit in range(17, 41):
        _, one, other = np.intersect1d(values, values ^ np.uint64(1 << bit), return_indices=True)
        expected += int((counts[one] * counts[other]).sum())
    assert len(near_pairs(hashes, hashes, 1)) == expected > 100_000


def test_no_hashes_have_no_pairs() -> None:
    none = words([])
    assert near_pairs(none, none, 3).shape == (0, 2)
    assert first_alike(none, 3).tolist() == []
