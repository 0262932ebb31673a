from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from opabinia.evaluation.benchmarks.limited import limited
from tests.evaluation.benchmarks.test_composition import asked, mme


def test_pairs_stay_whole_and_every_subtask_is_asked() -> None:
    chosen = limited([*mme("count", 5), *mme("OCR", 5)], 4)
    assert Counter(question.task for question in chosen) == {"count": 2, "OCR": 2}
    assert {*Counter(question.group for question in chosen).values()} == {2}


def test_each_benchmark_is_limited_by_itself() -> None:
    questions = [*(asked("gqa", n) for n in range(5)), *(asked("pope", n) for n in range(2))]
    assert Counter(question.benchmark for question in limited(questions, 3)) == {"gqa": 3, "pope": 2}


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=20), st.integers(1, 30))
def test_what_is_left_keeps_its_order_and_the_limit_but_is_never_nothing(groups: list[str], limit: int) -> None:
    questions = [asked("mmbench", n, group=group) for n, group in enumerate(groups)]
    chosen = limited(questions, limit)
    assert chosen == [question for question in questions if question in chosen]
    assert 0 < len(chosen) <= max(limit, max(Counter(groups).values()))
    assert all(sum(q.group == g for q in chosen) in (0, n) for g, n in Counter(groups).items())
