"""One stage of training on small real parts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from connectors.settings.sva import SvaSettings
from opabinia.data.arrow import pa
from opabinia.data.collate import collate_text
from opabinia.data.prompts import encode_conversation
from opabinia.data.records import Turn
from opabinia.data.streaming.plan import StreamPosition
from opabinia.data.streaming.stream import Part, Streamed
from opabinia.models.multimodal import MultimodalModel
from opabinia.training.loop import Step, train_stage
from opabinia.training.optimisation.learning_rate import rate_factor
from opabinia.training.optimisation.optimiser import build_optimiser
from opabinia.training.recipe.stages import Part as ModelPart
from opabinia.training.recipe.stages import StageConfig
from opabinia.training.safeguards.guard_config import GuardConfig
from opabinia.training.worker import report_steps
from tests.models.small import random_features, small_model, tokenizer
from tests.training.watching import alone, watching


@dataclass
class FixedFeatures:
    grids: list[Tensor] = field(default_factory=lambda: random_features(4))

    @property
    def more(self) -> None:
        return None

    def of_batch(self, part: Part) -> list[Tensor]:
        return self.grids

    def of_prompts(self, prompts: object) -> list[Tensor]:
        return self.grids


def stage(steps: int = 4, trains: tuple[ModelPart, ...] = ("connector",), **changes: object) -> StageConfig:
    settings = {"name": "s", "data": "d", "trains": trains, "steps": steps, "batch": 4, "lr": 1e-3, "base_batch": 4}
    return StageConfig.model_validate({**settings, **changes})


def batch() -> Streamed:
    colours = ("red", "green", "blue", "white")
    question = Turn("user", "<image>\nwhat colour is the circle ?")
    encoded = [encode_conversation(tokenizer(), (question, Turn("assistant", colour))) for colour in colours]
    rows = [
        {"input_ids": e.input_ids, "labels": e.labels, "lengths": [len(e.labels)], "images": ["x"], "image_keys": ["x"]}
        for e in encoded
    ]
    position = StreamPosition(window=0, unit=4, epoch=0, shard=0, offset=0, seed=0, data="")
    table = pa.table(
        {"samples": [[{"id": colour}] for colour in colours], "images": [["x"]] * 4, "image_keys": [["x"]] * 4}
    )
    return Streamed((Part(collate_text(rows, 0), table),), position)


def train(
    config: StageConfig,
    model: MultimodalModel | None = None,
    features: FixedFeatures | None = None,
    folder: str | None = None,
    guard: GuardConfig | None = None,
    batches: int | None = None,
    given: Iterable[Streamed] | None = None,
) -> Iterator[Step]:
    model = model or small_model(SvaSettings())
    watch = watching(model, config, folder, guard)
    given = given or [batch()] * (batches or config.steps)
    return train_stage(alone(model, config), config, given, features or FixedFeatures(), watch)


def test_the_same_seed_gives_identical_losses() -> None:
    both: tuple[ModelPart, ...] = ("connector", "language_model")
    runs = [[step.loss for step in train(stage(trains=both))] for _ in range(2)]
    assert runs[0] == runs[1]


def test_four_pictures_are_learnt_by_heart() -> None:
    losses = [step.loss for step in train(stage(steps=30, lr=3e-3))]
    assert losses[-1] < 0.2 * losses[0]


@pytest.mark.parametrize("part", ["connector", "language_model"])
def test_what_a_stage_does_not_train_stays_as_it_was(part: ModelPart) -> None:
    model = small_model(SvaSettings())
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    list(train(stage(trains=(part,)), model))
    changed = {name.split(".")[0] for name, parameter in model.named_parameters() if not before[name].equal(parameter)}
    assert changed == {part}


def test_each_part_has_its_own_rate_scaled_by_the_batch() -> None:
    config = stage(
        trains=("connector", "language_model"), batch=16, lr=1e-3, learning_rates={"language_model": 1e-4}, warmup=0.0
    )
    optimiser = build_optimiser(small_model(SvaSettings()), config)
    rates = {group["name"]: group["lr"] for group in optimiser.adamw.param_groups}
    assert rates == pytest.approx({"connector": 2e-3, "language_model": 2e-4})


class BrokenFeatures(FixedFeatures):
    """Not finite at the second step."""

    steps = 0

    def of_batch(self, part: Part) -> list[Tensor]:
        self.steps += 1
        return [grid * float("nan") for grid in self.grids] if self.steps == 2 else self.grids


def test_a_step_that_is_not_finite_is_written_down_and_changes_no_weight(tmp_path: Path) -> None:
    model = small_model(SvaSettings())
    skipped, weights = list[bool](), list[Tensor]()
    for step in train(stage(steps=3), model, BrokenFeatures(), str(tmp_path)):
        skipped.append(step.skipped is not None)
        weights.append(torch.cat([parameter.detach().flatten().clone() for parameter in model.parameters()]))
    assert skipped == [False, True, False]
    assert weights[1].equal(weights[0])
    assert not weights[2].equal(weights[1])
    (written,) = tmp_path.iterdir()
    rows = json.loads(written.read_text())["parts"][0]["rows"]
    assert [row["samples"] for row in rows] == [[{"id": colour}] for colour in ("red", "green", "blue", "white")]


def test_too_many_skipped_steps_end_the_run_with_a_reason(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="stages: s stopped at step 2"):
        list(train(stage(steps=3), None, BrokenFeatures(), str(tmp_path), GuardConfig(in_a_row=0)))


def test_data_that_end_too_early_are_said_so() -> None:
    with pytest.raises(ValueError, match="s has data for 1 of its 4 steps"):
        list(train(stage(), batches=1))


def test_the_next_batch_is_fetched_while_a_step_is_computed_and_none_is_fetched_in_vain() -> None:
    fetched: list[int] = []

    def counted() -> Iterator[Streamed]:
        for number in range(1, 100):
            fetched.append(number)
            given = batch()
            yield replace(given, position=given.position.model_copy(update={"unit": number}))

    ahead = [(step.position.unit, fetched[-1]) for step in train(stage(steps=3), given=counted())]
    assert ahead == [(1, 2), (2, 3), (3, 3)]


@given(steps=st.integers(1, 500), warmup=st.floats(0, 0.9), schedule=st.sampled_from(["cosine", "constant"]))
def test_the_rate_rises_to_its_peak_and_never_above(steps: int, warmup: float, schedule: str) -> None:
    config = stage(steps=steps, warmup=warmup, schedule=schedule)
    factors = [rate_factor(config, step) for step in range(steps)]
    peak = max(range(steps), key=factors.__getitem__)
    assert all(0 <= factor <= 1 for factor in factors)
    assert factors[: peak + 1] == sorted(factors[: peak + 1])
    assert factors[peak:] == sorted(factors[peak:], reverse=True)


@given(steps=st.integers(1, 200), reports=st.integers(1, 10))
def test_reports_are_as_many_as_asked_and_the_last_is_at_the_end(steps: int, reports: int) -> None:
    if reports > steps:
        return
    chosen = report_steps(stage(steps=steps, reports=reports))
    assert len(chosen) == reports
    assert max(chosen) == steps
    assert min(chosen) >= 1
