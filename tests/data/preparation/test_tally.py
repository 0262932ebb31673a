from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from opabinia.data.preparation.tally import Tally, first_pixel, octave, octave_bins, pixel_bin, tally_of

NUMBERS = st.lists(st.integers(0, 5000), max_size=30)


@given(NUMBERS)
def test_bins_have_no_gaps_and_every_number_falls_into_its_own(numbers: list[int]) -> None:
    bins = octave_bins(Counter(str(octave(number)) for number in numbers))
    assert [count for _, _, count in bins] == [sum(a <= number <= b for number in numbers) for a, b, _ in bins]
    assert sum(count for _, _, count in bins) == len(numbers)
    assert all(before[1] + 1 == after[0] for before, after in pairwise(bins))


@given(st.integers(1, 100_000))
def test_a_length_in_pixels_is_within_its_bin(pixels: int) -> None:
    assert first_pixel(pixel_bin(pixels)) <= pixels < first_pixel(pixel_bin(pixels) + 1)


def counted(numbers: list[int]) -> Tally:
    tally = Tally()
    for number in numbers:
        if number % 5 == 0:
            tally.add_rejected(f"s{number % 3}", "roles")
            continue
        tally.add_accepted(f"s{number % 3}", words=number, turns=number % 7, images=number % 2)
        tally.add_picture(number, number + 3, "JPEG")
    return tally


@given(NUMBERS, NUMBERS)
def test_tallies_of_parts_add_up_to_the_tally_of_the_whole_also_after_a_journey_as_json(
    first: list[int], second: list[int]
) -> None:
    total = tally_of(json.loads(json.dumps(counted(first).as_counts())))
    total.add(counted(second))
    assert total == counted(first + second)
