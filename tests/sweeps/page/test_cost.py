"""Which trials are the best for what they cost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from opabinia.sweeps.page.cost import Point, pareto_front

NUMBERS = st.integers(0, 6)
POINTS = st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=12)


def point(place: int, minutes: float, score: float) -> Point:
    return Point(minutes, score, place + 1, "finished")


@given(POINTS)
def test_no_trial_beats_one_of_the_front_and_one_of_the_front_is_as_good_as_any_other(
    pairs: list[tuple[int, int]],
) -> None:
    points = [point(place, *pair) for place, pair in enumerate(pairs)]
    front = pareto_front(points)
    for one in front:
        better = [p for p in points if p.minutes <= one.minutes and p.score >= one.score]
        assert all((p.minutes, p.score) == (one.minutes, one.score) for p in better)
    for other in points:
        assert any(one.minutes <= other.minutes and one.score >= other.score for one in front)


@given(POINTS)
def test_along_the_front_more_is_paid_for_more(pairs: list[tuple[int, int]]) -> None:
    front = pareto_front([point(place, *pair) for place, pair in enumerate(pairs)])
    assert front == sorted(front)
    assert len({one.score for one in front}) == len(front)
