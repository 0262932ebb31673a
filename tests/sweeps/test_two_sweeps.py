"""Two sweeps are compared configuration by configuration, on the same questions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from jobs.compare_sweeps import main
from opabinia.evaluation.samples import save_answers
from opabinia.evaluation.statistics.comparing import paired_difference
from opabinia.sweeps.driver import LOG
from opabinia.sweeps.trial_log import Told, log_end, log_start, log_told
from opabinia.sweeps.two_sweeps import answered_trials, compare_sweeps
from tests.evaluation.specimens import question, report, scores
from tests.sweeps.page.sweep import evaluation, runs_of, write_experiment

QUESTIONS = [question(number, image=f"{number}.png") for number in range(60)]


def write_sweep(folder: Path, right: dict[int, int], *, ended: str = "finished") -> Path:
    """Of the trials with these numbers, each of which answers so many questions right."""
    folder.mkdir()
    runs = runs_of(write_experiment(folder))
    for place, many in right.items():
        run = runs[place]
        checkpoint = folder / run.name
        checkpoint.mkdir()
        seen = evaluation(QUESTIONS, *["red"] * many, *["blue"] * (len(QUESTIONS) - many))
        save_answers(checkpoint / "answers.json", seen, evaluation(QUESTIONS, "blue"))
        told = replace(report(run.name, with_image=scores(*[50.0] * 4)), status=ended)
        log_start(folder / LOG, run)
        log_told(folder / LOG, run.name, Told(told, checkpoint, 1.0, []))
        log_end(folder / LOG, run.name, ended)
    return folder


@pytest.fixture
def first(tmp_path: Path) -> Path:
    return write_sweep(tmp_path / "one", {0: 20, 1: 30, 2: 40})


@pytest.fixture
def second(tmp_path: Path) -> Path:
    """It has the first trial better, the second as it was, and another in the third's place."""
    return write_sweep(tmp_path / "two", {0: 50, 1: 30, 3: 40})


def test_what_both_have_is_compared_with_itself(first: Path, second: Path) -> None:
    of_first, of_second = answered_trials(first), answered_trials(second)
    better, same = compare_sweeps(of_first, of_second).matched
    assert better.difference == paired_difference(of_second[0][1], of_first[0][1])
    assert better.difference.points == pytest.approx(50.0)
    assert better.corrected_p < 0.05
    assert (same.difference.points, same.corrected_p) == (0.0, 1.0)


def test_all_of_both_stand_in_one_table(first: Path, second: Path) -> None:
    together = compare_sweeps(answered_trials(first), answered_trials(second)).together
    names = {name.partition("/")[0] for name in together.scores}
    assert (len(together.scores), names) == (6, {"first", "second"})
    assert together.baseline.startswith("first/")


def test_trials_that_did_not_finish_are_not_matched(first: Path, tmp_path: Path) -> None:
    stopped = write_sweep(tmp_path / "stopped", {0: 50}, ended="stopped")
    compared = compare_sweeps(answered_trials(first), answered_trials(stopped))
    assert compared.matched == []
    assert list(compared.together.left_out.values()) == ["stopped"]


def test_the_job_prints_what_it_writes(
    first: Path, second: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "comparison.md"
    main(["--first", str(first), "--second", str(second), "--output", str(output)])
    text = output.read_text()
    assert capsys.readouterr().out.strip() == text.strip()
    assert "| +50.0 |" in text
    assert "Both together: every configuration against first/" in text


def test_a_folder_that_is_no_sweeps_is_one_line(
    first: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--first", str(first), "--second", str(tmp_path)])
    assert ended.value.code not in (0, None)
    said = capsys.readouterr().err
    assert said.startswith(f"{tmp_path}: holds no trials of a sweep; name a folder such as")
    assert len(said.strip().splitlines()) == 1
