"""What trials told is on disk, whenever the sweep ends."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opabinia.sweeps.trial_log import Told, log_end, log_start, log_told, logged_trials
from opabinia.training.run import RunConfig
from tests.evaluation.specimens import report, scores
from tests.sweeps.page.sweep import runs_of, write_experiment


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[RunConfig]:
    return runs_of(write_experiment(tmp_path_factory.mktemp("experiment")))


def told(name: str, score: float) -> Told:
    seen = report(name, with_image=scores(*[score] * 4))
    return Told(seen, Path("/checkpoints") / name, 12.5, [{"step": 1, "loss": score / 10}])


def test_what_was_told_is_read_again(runs: list[RunConfig], tmp_path: Path) -> None:
    first, second, third = runs[:3]
    for run in (first, second, third):
        log_start(tmp_path, run)
    log_told(tmp_path, first.name, told(first.name, 40.0))
    log_told(tmp_path, second.name, told(second.name, 50.0))
    log_told(tmp_path, first.name, told(first.name, 60.0))
    log_end(tmp_path, first.name, "finished")
    log_end(tmp_path, third.name, "failed")
    found = logged_trials(tmp_path)
    assert {name: trial.run for name, trial in found.items()} == {run.name: run for run in (first, second, third)}
    assert found[first.name].told == [told(first.name, 40.0), told(first.name, 60.0)]
    assert [found[run.name].ended for run in (first, second, third)] == ["finished", None, "failed"]


def test_a_trial_that_begins_again_keeps_what_it_told_and_has_not_ended(runs: list[RunConfig], tmp_path: Path) -> None:
    log_start(tmp_path, runs[0])
    log_told(tmp_path, runs[0].name, told(runs[0].name, 40.0))
    log_end(tmp_path, runs[0].name, "failed")
    log_start(tmp_path, runs[0])
    trial = logged_trials(tmp_path)[runs[0].name]
    assert (trial.ended, trial.told) == (None, [told(runs[0].name, 40.0)])


@given(cut=st.integers(0, 10_000))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_wherever_writing_was_cut_off_what_was_whole_is_there_and_writing_goes_on(
    runs: list[RunConfig], tmp_path: Path, cut: int
) -> None:
    name, file = runs[0].name, tmp_path / f"{runs[0].name}.jsonl"
    file.unlink(missing_ok=True)
    log_start(tmp_path, runs[0])
    for score in (10.0, 20.0):
        log_told(tmp_path, name, told(name, score))
    whole = file.read_bytes()
    left = whole[: cut % (len(whole) + 1)]
    file.write_bytes(left)
    before = [one.told for one in logged_trials(tmp_path).values()]
    assert [len(some) for some in before] == ([left.count(b"\n") - 1] if b"\n" in left else [])
    log_start(tmp_path, runs[0])
    log_told(tmp_path, name, told(name, 30.0))
    after = logged_trials(tmp_path)[name].told
    assert after == [*(before[0] if before else []), told(name, 30.0)]


def test_a_damaged_line_is_named(runs: list[RunConfig], tmp_path: Path) -> None:
    log_start(tmp_path, runs[0])
    file = tmp_path / f"{runs[0].name}.jsonl"
    file.write_text(file.read_text() + "{}\n")
    with pytest.raises(ValueError, match=rf"{file.name}: line 2 is damaged \('ended'\); move the file away"):
        logged_trials(tmp_path)


def test_a_sweep_that_was_never_begun_has_told_nothing(tmp_path: Path) -> None:
    assert logged_trials(tmp_path / "nowhere") == {}
