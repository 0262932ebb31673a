from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from opabinia.evaluation.subset import spread_over_tasks
from tests.evaluation.specimens import question


def test_the_limit_is_shared_equally_by_tasks_of_unequal_size() -> None:
    asked = [*(question(n, task="colour") for n in range(90)), *(question(n, task="shape") for n in range(90, 100))]
    assert Counter(q.task for q in spread_over_tasks(asked, 16)) == {"colour": 8, "shape": 8}


def test_a_small_task_leaves_its_share_to_the_others() -> None:
    asked = [*(question(n, task="colour") for n in range(90)), question(90, task="shape")]
    assert Counter(q.task for q in spread_over_tasks(asked, 16)) == {"colour": 15, "shape": 1}


def test_within_a_task_sources_share_equally_so_that_a_formula_over_sources_still_applies() -> None:
    asked = [question(n, source="COCO" if n < 95 else "ADE20K") for n in range(100)]
    assert Counter(q.source for q in spread_over_tasks(asked, 6)) == {"COCO": 3, "ADE20K": 3}


def test_picks_are_spread_over_the_whole_file_and_keep_its_order() -> None:
    picks = [int(q.id) for q in spread_over_tasks([question(n) for n in range(100)], 4)]
    assert picks == [12, 37, 62, 87]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xy")), max_size=40), st.integers(1, 50))
def test_a_subset_is_as_large_as_asked_without_repeats_in_order_and_always_the_same(
    kinds: list[tuple[str, str]], limit: int
) -> None:
    asked = [question(n, task=task, source=source) for n, (task, source) in enumerate(kinds)]
    picks = spread_over_tasks(asked, limit)
    numbers = [int(q.id) for q in picks]
    assert len(picks) == min(limit, len(asked))
    assert numbers == sorted(set(numbers))
    assert picks == spread_over_tasks(asked, limit)
