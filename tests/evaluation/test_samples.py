from __future__ import annotations

from pathlib import Path

import pytest

from opabinia.evaluation.evaluate import Evaluation, evaluate
from opabinia.evaluation.samples import answer_pairs, load_answers, save_answers, spread_pairs
from tests.evaluation.specimens import Scripted, question

ASKED = [question(n, task=f"task {n % 2}", family="general" if n < 6 else "knowledge", right=n % 3) for n in range(8)]


def answered(replies: dict[str, str], count: int = 8) -> Evaluation:
    return evaluate(Scripted(replies), ASKED[:count], Path("no images"), with_image=True)


SEEN = answered({q.question: q.right_text for q in ASKED})
BLIND = answered({q.question: "unsure" for q in ASKED})


def test_pairs_hold_both_answers_in_the_order_of_the_questions() -> None:
    pairs = answer_pairs(SEEN, BLIND)
    assert [pair.question for pair in pairs] == ASKED
    assert [(p.answer, p.correct, p.blind_answer, p.blind_correct) for p in pairs] == [
        (q.right_text, True, "unsure", False) for q in ASKED
    ]


def test_evaluations_of_different_questions_are_not_paired() -> None:
    with pytest.raises(ValueError, match="different questions"):
        answer_pairs(SEEN, answered({q.question: "red" for q in ASKED}, count=3))


def test_samples_are_spread_over_families_and_tasks() -> None:
    chosen = spread_pairs(answer_pairs(SEEN, BLIND), per_family=2)
    assert [(pair.question.family, pair.question.task) for pair in chosen] == [
        ("general", "task 0"),
        ("general", "task 1"),
        ("knowledge", "task 0"),
        ("knowledge", "task 1"),
    ]


def test_saved_answers_read_back_the_same(tmp_path: Path) -> None:
    save_answers(tmp_path / "answers.json", SEEN, BLIND)
    assert load_answers(tmp_path / "answers.json") == answer_pairs(SEEN, BLIND)


def test_damaged_and_missing_answers_are_one_line_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "answers.json").write_text('[{"question": 3}]')
    with pytest.raises(ValueError, match=r"answers: .*answers\.json is damaged at 0\.question") as damaged:
        load_answers(tmp_path / "answers.json")
    assert "\n" not in str(damaged.value)
    with pytest.raises(ValueError, match=r"answers: .*missing\.json does not exist"):
        load_answers(tmp_path / "missing.json")
