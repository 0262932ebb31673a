"""Where a run stands, through a checkpoint and back."""

from __future__ import annotations

import json

from opabinia.data.streaming.plan import StreamPosition
from opabinia.training.loop import Step
from opabinia.training.recipe.stages import StageConfig
from opabinia.training.reports.progress import Progress, resumed

STAGE = StageConfig.model_validate(
    {"name": "s", "data": "d", "trains": ["connector"], "steps": 9, "batch": 4, "lr": 1e-3, "base_batch": 4}
)


def step(number: int, skipped: str | None = None) -> Step:
    position = StreamPosition(data="d", seed=1, window=0, unit=4 * number, epoch=0, shard=2, offset=3)
    loss = float("nan") if skipped else 2.0 / number
    return Step(number, position, loss, skipped, {"lr/connector": 1e-3}, 0.1, 0.01, 0.2)


def test_a_run_goes_on_from_what_its_checkpoint_tells() -> None:
    progress = Progress(started=0.0)
    for number in (1, 2):
        progress.add(STAGE, step(number), {})
    found = resumed(json.loads(json.dumps(progress.facts(), allow_nan=False)), started=50.0)
    assert (found.stage, found.done, found.steps, found.position) == (0, 2, 2, step(2).position)
    assert found.curve == progress.curve


def test_a_report_that_may_not_have_been_heard_is_told_again() -> None:
    progress = Progress(started=0.0)
    progress.add(STAGE, step(1), {})
    told = progress.take_curve()
    progress.add(STAGE, step(2), {})
    found = resumed(progress.facts(), started=0.0)
    assert [point["step"] for point in told] == [1]
    assert [point["step"] for point in found.curve] == [1, 2]
    assert [point["step"] for point in progress.take_curve()] == [2]


def test_a_skipped_step_has_no_loss_in_the_curve() -> None:
    progress = Progress(started=0.0)
    progress.add(STAGE, step(1, "the loss is nan"), {})
    (point,) = json.loads(json.dumps(progress.facts(), allow_nan=False))["curve"]
    assert "loss" not in point
    assert point["skipped"] == 1.0


def test_a_new_stage_begins_at_its_beginning() -> None:
    progress = Progress(started=0.0)
    progress.add(STAGE, step(1), {})
    progress.enter(1)
    assert (progress.stage, progress.done, progress.position, progress.steps) == (1, 0, None, 1)
