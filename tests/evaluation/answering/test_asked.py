"""Which questions share a batch."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from opabinia.evaluation.answering.asked import Asked, batches_of

asked = st.lists(
    st.builds(Asked, st.uuids().map(str), st.text("ab ", max_size=90), st.sampled_from(["", "1.png", "2.png"])),
    max_size=40,
)


@given(asked, st.integers(1, 7), st.integers(1, 4))
def test_everything_is_asked_once_in_batches_that_are_alike(some: list[Asked], size: int, workers: int) -> None:
    batches = batches_of([*some, *some], size, workers)
    assert sorted(one.key for batch in batches for one in batch) == sorted(one.key for one in some)
    assert all(1 <= len(batch) <= size for batch in batches)
    assert all(len({bool(one.image) for one in batch}) == 1 for batch in batches)
    # No worker has more than its share at once.
    assert max(map(len, batches), default=0) <= max(1, -(-len(some) // workers))


def test_questions_of_one_length_about_one_picture_stand_together() -> None:
    some = [Asked(f"{n}", f"question {n}", f"{n % 2}.png") for n in range(6)]
    assert [[one.image for one in batch] for batch in batches_of(some, 3, 1)] == [["0.png"] * 3, ["1.png"] * 3]


def test_short_and_long_questions_are_asked_apart() -> None:
    some = [Asked(f"{n}", "long " * 50 if n % 2 else "short", "1.png") for n in range(6)]
    assert [{len(one.text) for one in batch} for batch in batches_of(some, 3, 1)] == [{5}, {250}]
