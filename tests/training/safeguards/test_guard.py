"""Which steps are skipped, and when a run that skips steps is stopped."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from opabinia.training.safeguards.guard import RARE, Guard, Verdict
from opabinia.training.safeguards.guard_config import GuardConfig

CONFIG = GuardConfig()
PATIENT = GuardConfig(in_a_row=10**6, in_all=10**6)

Floats = NDArray[np.float64]


def judged(guard: Guard, losses: Iterable[float], norms: Iterable[float] | None = None) -> list[Verdict]:
    losses = list(losses)
    return [guard.judge(*step) for step in zip(losses, norms or [1.0] * len(losses), strict=True)]


def skipped(losses: Sequence[float] | Floats, config: GuardConfig = PATIENT) -> list[int]:
    verdicts = judged(Guard(config), [float(loss) for loss in losses])
    return [place for place, verdict in enumerate(verdicts) if verdict.skips]


def falling(steps: int) -> Floats:
    """The loss of a language model: steep at first, then slower and slower."""
    place = np.arange(steps)
    return 1.6 + 8 * np.exp(-place / 60) + 1.2 / np.sqrt(1 + place / 500)


def noise(steps: int, scatter: float, seed: int = 0) -> Floats:
    return np.exp(np.random.default_rng(seed).normal(0, scatter, steps))


@given(
    bad=st.sampled_from([math.nan, math.inf, -math.inf]),
    as_loss=st.booleans(),
    before=st.lists(st.floats(0.1, 10), max_size=40),
)
def test_what_is_not_finite_is_skipped_from_the_first_step_on_and_teaches_nothing(
    bad: float, as_loss: bool, before: list[float]
) -> None:
    guard = Guard(PATIENT)
    judged(guard, before)
    learnt = guard.to_state()
    verdict = guard.judge(*((bad, 1.0) if as_loss else (1.0, bad)))
    assert verdict.skips
    assert str(bad) in (verdict.reason or "")
    assert {**guard.to_state(), "skipped": 0, "in_a_row": 0} == {**learnt, "skipped": 0, "in_a_row": 0}


@given(place=st.integers(40, 190), times=st.floats(2, 1e30), seed=st.integers(0, 20))
@settings(max_examples=30)
def test_a_single_spike_is_skipped_and_nothing_else(place: int, times: float, seed: int) -> None:
    # After the steep beginning, on which the scatter of the last steps is that of the fall.
    losses = falling(500)[300:] * noise(200, 0.03, seed)
    losses[place] *= times
    assert skipped(losses) == [place]


def test_a_gradient_that_explodes_is_a_spike_though_the_loss_is_as_usual() -> None:
    norms = noise(300, 0.4)
    norms[200] = 100
    verdicts = judged(Guard(PATIENT), [2.0] * 300, norms.tolist())
    assert [place for place, verdict in enumerate(verdicts) if verdict.skips] == [200]
    assert verdicts[200].reason is not None
    assert verdicts[200].reason.startswith("the gradient norm is 100, where")


def test_only_what_is_not_finite_counts_at_the_beginning_or_without_a_factor() -> None:
    assert skipped([2.0] * 10 + [100.0, math.nan] + [2.0] * 10) == [11]
    assert skipped([2.0] * 100 + [100.0, math.nan], PATIENT.model_copy(update={"factor": None})) == [101]


@given(rise=st.floats(0, 0.02), scatter=st.floats(0, 0.05), seed=st.integers(0, 20))
@settings(max_examples=30)
def test_a_loss_that_rises_slowly_is_never_skipped(rise: float, scatter: float, seed: int) -> None:
    assert not skipped(2 * np.exp(rise * np.arange(400)) * noise(400, scatter, seed))


@given(level=st.floats(1e-3, 1e6), before=st.integers(32, 300), window=st.integers(32, 200))
@settings(max_examples=50)
def test_a_level_that_stays_is_usual_once_it_is_no_longer_rare(level: float, before: int, window: int) -> None:
    config = PATIENT.model_copy(update={"window": window})
    found = skipped([2.0] * before + [level] * 2 * window, config)
    assert len(found) <= int(RARE * window) + 1
    assert not found or level > 2


def test_a_second_kind_of_batch_becomes_usual() -> None:
    kinds = np.where(np.random.default_rng(0).random(3000) < 0.2, 6.0, 1.0)
    assert not [place for place in skipped(kinds * noise(3000, 0.05)) if place > 300]


def test_batches_without_gradient_do_not_make_the_others_spikes() -> None:
    norms = [0.0, 0.0, 2.0] * 100
    assert not [verdict for verdict in judged(Guard(PATIENT), [2.0] * 300, norms) if verdict.skips]


@pytest.mark.parametrize("scatter", [0.03, 0.4])
def test_false_alarms_are_at_most_one_in_ten_thousand(scatter: float) -> None:
    assert len(skipped(falling(10_000) * noise(10_000, scatter))) <= 1


@given(
    losses=st.lists(st.one_of(st.floats(0.1, 50), st.just(math.nan)), min_size=60, max_size=120),
    cut=st.integers(0, 60),
)
@settings(max_examples=25)
def test_a_guard_that_went_through_json_decides_as_if_it_had_not(losses: list[float], cut: int) -> None:
    config = GuardConfig(window=30, warmup_steps=20, in_a_row=3, in_all=8)
    whole = judged(Guard(config), losses)
    first = Guard(config)
    before = judged(first, losses[:cut])
    resumed = Guard.from_state(config, json.loads(json.dumps(first.to_state(), allow_nan=False)))
    assert before + judged(resumed, losses[cut:]) == whole


@given(losses=st.lists(st.floats(), min_size=1, max_size=50), norms=st.lists(st.floats(), min_size=50, max_size=50))
@settings(max_examples=50)
def test_anything_can_be_judged(losses: list[float], norms: list[float]) -> None:
    guard = Guard(PATIENT)
    verdicts = judged(guard, losses, norms[: len(losses)])
    json.dumps(guard.to_state(), allow_nan=False)
    finite = [
        math.isfinite(loss) and math.isfinite(norm) for loss, norm in zip(losses, norms[: len(losses)], strict=True)
    ]
    assert all(verdict.skips for verdict, fine in zip(verdicts, finite, strict=True) if not fine)


def test_patience_ends_with_too_many_in_a_row() -> None:
    verdicts = judged(Guard(GuardConfig(in_a_row=2)), [1.0, math.nan, math.nan, 1.0, math.nan, math.nan, math.nan])
    assert [verdict.stop is None for verdict in verdicts] == [True] * 6 + [False]
    assert verdicts[-1].stop == "more than 2 steps in a row (guard.in_a_row) were skipped"


def test_patience_ends_with_too_many_in_all() -> None:
    verdicts = judged(Guard(GuardConfig(in_all=2)), [1.0, math.nan] * 3)
    assert [verdict.stop is None for verdict in verdicts] == [True] * 5 + [False]
    assert verdicts[-1].stop == "more than 2 steps of this stage (guard.in_all) were skipped"


def test_a_jump_that_stays_does_not_stop_a_run_with_the_settings_given() -> None:
    assert not [verdict.stop for verdict in judged(Guard(CONFIG), [2.0] * 200 + [9.0] * 200) if verdict.stop]
