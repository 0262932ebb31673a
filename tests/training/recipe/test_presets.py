"""Published recipes, and an experiment that changes some of their fields."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import model_validator

from opabinia.command_line import parse_settings, settings_text, write_settings
from opabinia.config import Config
from opabinia.training.optimisation.learning_rate import peak_learning_rate
from opabinia.training.recipe.presets import Recipe, preset, with_recipe
from opabinia.training.recipe.stages import WrittenStage, stages_of_run

ENCODERS = ("burgess/caption-vit", "burgess/mim-vit")
RECORDS = {"alignment": 100_000, "instruction": 100_000}

# (stage, what trains, batch, warm-up, {part: peak learning rate}), from the papers and the scripts that their authors released.
PUBLISHED: dict[Recipe, list[tuple[str, str, int, float, dict[str, float]]]] = {
    "llava15": [
        ("align", "connector", 256, 0.03, {"connector": 1e-3}),
        ("instruct", "connector language_model", 128, 0.03, {"connector": 2e-5, "language_model": 2e-5}),
    ],
    "cambrian_one_stage": [
        ("instruct", "connector language_model", 512, 0.03, {"connector": 2e-5, "language_model": 2e-5})
    ],
    "cambrian_two_stage": [
        ("align", "connector", 512, 0.06, {"connector": 1e-3, "sva_in_llm": 1e-3}),
        ("instruct", "connector language_model", 512, 0.03, {"connector": 2e-5, "language_model": 2e-5}),
    ],
    "cambrian_two_stage_unfrozen": [
        ("align", "connector", 512, 0.06, {"connector": 1e-3}),
        ("instruct", "connector language_model encoders", 512, 0.03, {"language_model": 2e-5, "encoders": 1e-5}),
    ],
    "cambrian_final": [
        ("align", "connector", 512, 0.06, {"connector": 1e-3, "sva": 1e-4, "sva_in_llm": 1e-4}),
        ("instruct", "connector language_model", 512, 0.03, {"connector": 4e-5, "sva": 4e-5, "language_model": 4e-5}),
    ],
    "eagle_two_stage": [
        ("align", "connector", 256, 0.03, {"connector": 1e-3}),
        ("instruct", "connector language_model encoders", 128, 0.03, {"language_model": 2e-5, "encoders": 2e-5}),
    ],
    "eagle_prealign": [
        ("prealign.burgess/caption-vit", "connector encoders", 128, 0.03, {"encoders": 2e-5}),
        ("prealign.burgess/mim-vit", "connector encoders", 128, 0.03, {"encoders": 2e-5}),
        ("align", "connector", 256, 0.03, {"connector": 1e-3}),
        ("instruct", "connector language_model encoders", 128, 0.03, {"language_model": 2e-5, "encoders": 2e-5}),
    ],
}  # fmt: skip


@pytest.mark.parametrize("recipe", list(PUBLISHED))
def test_a_recipe_is_the_published_one(recipe: Recipe) -> None:
    run = stages_of_run(preset(recipe), ENCODERS, RECORDS)
    told = [(one.name, " ".join(one.trains), one.batch, one.warmup) for one in run]
    assert told == [published[:4] for published in PUBLISHED[recipe]]
    for one, (*_, rates) in zip(run, PUBLISHED[recipe], strict=True):
        assert {part: peak_learning_rate(one, part) for part in rates} == pytest.approx(rates)


@pytest.mark.parametrize("recipe", list(PUBLISHED))
def test_all_go_once_through_their_data_with_the_same_adamw(recipe: Recipe) -> None:
    for one in preset(recipe):
        assert (one.epochs, one.schedule, one.floor, one.weight_decay, one.max_grad_norm) == (1, "cosine", 0, 0, 1)
        assert (one.betas, one.eps) == ((0.9, 0.999), 1e-8)


def test_pre_alignment_is_one_encoder_at_a_time_before_a_frozen_language_model() -> None:
    run = stages_of_run(preset("eagle_prealign"), ENCODERS, RECORDS)
    assert [one.alone for one in run] == [*ENCODERS, None, None]
    assert "language_model" not in {part for one in run[:2] for part in one.trains}


def test_llava_makes_as_many_steps_as_it_is_known_to() -> None:
    run = stages_of_run(preset("llava15"), ENCODERS, {"alignment": 558_128, "instruction": 665_298})
    assert [one.steps for one in run] == [2181, 5198]


def test_a_changed_batch_moves_the_rate_by_its_square_root() -> None:
    (align, _) = stages_of_run(preset("llava15", [{"batch": 64}]), ENCODERS, RECORDS)
    assert peak_learning_rate(align, "connector") == pytest.approx(5e-4)


def test_changes_go_by_name_or_by_place() -> None:
    by_name = preset("llava15", [{"name": "instruct", "data": "mine", "lr": 1e-5}])
    by_place = preset("llava15", [{}, {"data": "mine", "lr": 1e-5}])
    assert by_name == by_place
    assert [(one.data, one.lr) for one in by_name] == [("alignment", 1e-3), ("mine", 1e-5)]


def test_steps_take_the_place_of_epochs() -> None:
    (align, instruct) = preset("llava15", [{"steps": 7}, {"epochs": 2}])
    assert (align.steps, align.epochs, instruct.steps, instruct.epochs) == (7, None, None, 2)


class SomeExperiment(Config):
    """The two fields of an experiment that recipes are about."""

    recipe: Recipe | None = None
    stages: tuple[WrittenStage, ...]

    @model_validator(mode="before")
    @classmethod
    def _recipe_gives_stages(cls, document: Any) -> Any:
        return with_recipe(document)


def parsed(tmp_path: Path, text: str, *flags: str) -> SomeExperiment:
    file = tmp_path / "experiment.yaml"
    file.write_text(text)
    return parse_settings(SomeExperiment, ["--config", str(file), *flags])


def test_an_experiment_names_a_recipe(tmp_path: Path) -> None:
    assert parsed(tmp_path, "recipe: cambrian_final").stages == preset("cambrian_final")


def test_an_experiment_changes_single_fields_in_its_file_and_on_the_command_line(tmp_path: Path) -> None:
    experiment = parsed(tmp_path, "{recipe: llava15, stages: [{name: instruct, batch: 32}]}", "--stages.0.steps", "5")
    assert [(one.name, one.batch, one.steps, one.epochs) for one in experiment.stages] == [
        ("align", 256, None, 1),
        ("instruct", 32, 5, None),
    ]


def test_an_experiment_with_a_recipe_reads_back_from_its_own_file(tmp_path: Path) -> None:
    experiment = parsed(tmp_path, "{recipe: eagle_prealign, stages: [{name: align, steps: 4, learning_rates: {}}]}")
    write_settings(experiment, tmp_path / "written.yaml")
    assert parsed(tmp_path, settings_text(experiment)) == experiment


def test_an_experiment_without_a_recipe_is_left_alone() -> None:
    document = {"stages": [{"name": "align"}]}
    assert with_recipe(document) == document


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("recipe: lava15", "recipe: unknown recipe 'lava15'; did you mean 'llava15'"),
        ("{recipe: llava15, stages: [{name: instuct}]}", r"stages\.0\.name: unknown stage of llava15 'instuct'; did you"),
        ("{recipe: llava15, stages: [{}, {}, {}]}", r"stages\.2: llava15 has 2 stages; name the one that this changes"),
        ("{recipe: llava15, stages: 3}", "stages: expected a list, got 3"),
        ("{recipe: llava15, stages: [{lr: -1}]}", r"stages\.0\.lr: expected more than 0"),
        ("{}", "stages: required, but not given"),
    ],
)  # fmt: skip
def test_mistakes_are_told_where_they_are(tmp_path: Path, text: str, line: str) -> None:
    with pytest.raises(ValueError, match=line):
        parsed(tmp_path, text)
