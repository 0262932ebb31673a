"""Which encoders of a run learn, and whose features can be computed once."""

from __future__ import annotations

import pytest

from opabinia.training.recipe.learning_encoders import frozen_encoders, learning_encoders
from opabinia.training.recipe.presets import Recipe, preset
from opabinia.training.recipe.stages import EACH, WrittenStage, stages_of_run
from tests.training.stages import written

A, B, C = "burgess/caption-vit", "burgess/mim-vit", "burgess/dense-convnext"
CONNECTOR = written(steps=10)


def trains(*parts: str, **settings: object) -> WrittenStage:
    return written(name="other", steps=10, trains=parts, **settings)


@pytest.mark.parametrize(
    ("stage", "learning"),
    [
        (trains("connector", "language_model"), ()),
        (trains("connector", "encoders"), (A, B, C)),
        (trains("connector", f"encoders.{B}"), (B,)),
        (trains(f"encoders.{C}", f"encoders.{A}"), (A, C)),
        (trains("connector", "encoders", alone=B), (B,)),
        (trains("connector", "encoders", alone=EACH), (A, B, C)),
        (trains("connector", f"encoders.{B}", alone=EACH), (B,)),
        (trains("connector", f"encoders.{B}", alone=A), ()),
    ],
)
def test_an_encoder_learns_where_any_stage_trains_it(stage: WrittenStage, learning: tuple[str, ...]) -> None:
    assert learning_encoders([CONNECTOR, stage], (A, B, C)) == learning
    assert set(frozen_encoders([CONNECTOR, stage], (A, B, C))) == {A, B, C} - set(learning)


def test_it_is_the_same_whether_stages_are_as_written_or_as_run() -> None:
    encoders = (C, A)
    for stage in (trains("connector", "encoders", alone=EACH), trains(f"encoders.{A}"), CONNECTOR):
        run = stages_of_run([stage], encoders, {"d": 10})
        assert learning_encoders(run, encoders) == learning_encoders([stage], encoders)


@pytest.mark.parametrize(
    ("recipe", "learn"),
    [
        ("llava15", False),
        ("cambrian_two_stage", False),
        ("cambrian_two_stage_unfrozen", True),
        ("eagle_prealign", True),
    ],
)
def test_published_recipes_train_all_encoders_or_none(recipe: Recipe, learn: bool) -> None:
    assert learning_encoders(preset(recipe), (A, B)) == ((A, B) if learn else ())
