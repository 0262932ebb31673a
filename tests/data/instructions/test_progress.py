"""How far a run is, read from the answers that it and its tasks write."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from opabinia.data.instructions.progress import GrowingLog, progress_line, told_progress


def test_only_new_answers_count_in_old_and_new_files(tmp_path: Path) -> None:
    old, new = tmp_path / "a.answers.jsonl", tmp_path / "b.answers.jsonl"
    old.write_text("1\n2\n")
    log = GrowingLog(tmp_path)
    log.update()
    assert log.gained == 0
    with old.open("a") as handle:
        handle.write("3\n")
    new.write_text("4\n5\nhalf")
    log.update()
    log.update()
    assert log.gained == 3
    with new.open("a") as handle:
        handle.write(" and half\n")
    log.update()
    assert log.gained == 4


def test_a_log_that_does_not_exist_yet_is_waited_for(tmp_path: Path) -> None:
    log = GrowingLog(tmp_path / "later")
    log.update()
    assert log.gained == 0


@pytest.mark.parametrize(
    ("gained", "expected", "seconds", "line"),
    [
        (0, 100, 10.0, "answers: 0 of about 100, 0.0 a second"),
        (20, 100, 10.0, "answers: 20 of about 100, 2.0 a second, 0:00:40 left"),
        (1200, 10_000, 60.0, "answers: 1,200 of about 10,000, 20.0 a second, 0:07:20 left"),
        (110, 100, 10.0, "answers: 110 of about 100, 11.0 a second"),
    ],
)
def test_a_line_says_how_many_how_fast_and_how_long_still(
    gained: int, expected: int, seconds: float, line: str
) -> None:
    assert progress_line(gained, expected, seconds) == line


def test_lines_come_while_it_runs_and_end_with_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said, threads = "", threading.active_count()
    with told_progress(tmp_path, 2, every_s=0.01):
        (tmp_path / "a.answers.jsonl").write_text("1\n")
        while "1 of about 2" not in said:
            said += capsys.readouterr().out
        assert threading.active_count() == threads + 1
    assert threading.active_count() == threads
