"""What a stage's settings say of themselves, and how the stages of a run come from those of an experiment."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opabinia.training.recipe.stages import StageConfig, rows_at_once, stages_of_run, steps_of_epochs, warmup_length
from tests.training.stages import stage, written

ENCODERS = ("burgess/caption-vit", "burgess/mim-vit")


@pytest.mark.parametrize(
    "part", ["connector", "sva", "sva_in_llm", "language_model", "encoders", f"encoders.{ENCODERS[0]}"]
)
def test_these_can_learn(part: str) -> None:
    assert stage(trains=(part,)).trains == (part,)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"trains": ("conector",)}, "unknown part of the model 'conector'; did you mean 'connector'"),
        ({"trains": ("encoders.burgess/mea-vit",)}, "unknown vision encoder 'burgess/mea-vit'; did you mean 'burgess/mim-vit'"),
        ({"trains": ("connector", "connector")}, "trains: a part is listed twice"),
        ({"learning_rates": {"language_model": 1e-4}}, "learning_rates.language_model: not trained in this stage"),
        ({"trains": ("sva_in_llm",), "learning_rates": {"sva": 1e-4}}, "learning_rates.sva: not trained in this stage"),
        ({"learning_rates": {"sva_in_lm": 1e-4}}, "did you mean 'sva_in_llm'"),
        ({"reports": 11}, "reports: 11 reports need at least as many steps, got 10"),
        ({"warmup_steps": 10}, "warmup_steps: 10 leaves none of the 10 steps; lower it below 10"),
        ({"alone": "burgess/mea-vit"}, "alone: unknown vision encoder 'burgess/mea-vit'"),
        ({"alone": "each"}, "alone: each stands for one stage an encoder; name one"),
        ({"betas": (0.9, 1.0)}, "less than 1"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_the_fix(settings: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        stage(**settings)


def test_a_part_of_what_learns_may_have_a_rate_of_its_own() -> None:
    rates = {"sva_in_llm": 1e-4, f"encoders.{ENCODERS[0]}": 1e-5}
    assert stage(trains=("connector", "encoders"), learning_rates=rates).learning_rates == rates


@pytest.mark.parametrize("lengths", [{}, {"steps": 3, "epochs": 1}])
def test_an_experiment_gives_steps_or_epochs(lengths: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="steps: give steps or epochs, one of the two"):
        written(**lengths)


def test_epochs_of_packed_rows_are_not_known_beforehand() -> None:
    with pytest.raises(
        ValueError, match="epochs: how many rows an epoch packs into is not known beforehand; give steps"
    ):
        written(epochs=1, batching={"type": "packed", "tokens": 64})


@pytest.mark.parametrize(
    ("epochs", "records", "batch", "steps"),
    [(1, 558_000, 256, 2180), (1, 512, 512, 1), (1, 513, 512, 2), (0.1, 30, 1, 3), (0.7, 10, 1, 7), (3, 10, 4, 8)],
)
def test_epochs_become_steps_that_reach_every_record(epochs: float, records: int, batch: int, steps: int) -> None:
    assert steps_of_epochs(epochs, records, batch) == steps


@given(hundredths=st.integers(1, 500), records=st.integers(1, 10**7), batch=st.integers(1, 4096))
def test_the_last_step_of_the_epochs_is_needed_and_none_is_missing(hundredths: int, records: int, batch: int) -> None:
    steps, seen = steps_of_epochs(hundredths / 100, records, batch), Fraction(hundredths, 100) * records
    assert (steps - 1) * batch < seen <= steps * batch


def test_the_stages_of_a_run_have_steps_from_the_records_of_their_own_data() -> None:
    stages = (
        written(data="captions", epochs=1),
        written(name="t", data="questions", epochs=2),
        written(name="u", steps=5),
    )
    run = stages_of_run(stages, ENCODERS, {"captions": 40, "questions": 10})
    assert [(one.name, one.steps) for one in run] == [("s", 10), ("t", 5), ("u", 5)]
    assert all(type(one) is StageConfig for one in run)


def test_too_few_records_for_the_reports_are_refused_when_they_are_known() -> None:
    with pytest.raises(ValueError, match="reports: 3 reports need at least as many steps, got 2"):
        stages_of_run([written(epochs=1, reports=3)], ENCODERS, {"d": 8})


def test_a_stage_for_each_encoder_becomes_one_after_another() -> None:
    run = stages_of_run([written(name="prealign", alone="each", steps=2), written(steps=3)], ENCODERS, {})
    assert [(one.name, one.alone) for one in run] == [
        ("prealign.burgess/caption-vit", "burgess/caption-vit"),
        ("prealign.burgess/mim-vit", "burgess/mim-vit"),
        ("s", None),
    ]


def test_a_stage_about_an_encoder_that_the_run_has_not_is_refused() -> None:
    with pytest.raises(
        ValueError, match="s is about burgess/dense-convnext alone, which is not among burgess/caption-vit"
    ):
        stages_of_run([written(alone="burgess/dense-convnext", steps=1)], ENCODERS, {})


def test_a_stage_reads_back_from_its_json() -> None:
    whole = stage(trains=("connector", "encoders"), betas=(0.9, 0.95), learning_rates={"sva": 1e-4}, warmup_steps=3)
    assert StageConfig.model_validate_json(whole.model_dump_json()) == whole


@pytest.mark.parametrize(
    ("warmup", "length"), [({"warmup": 0.06}, 6), ({"warmup": 0.051}, 6), ({"warmup_steps": 0}, 0)]
)
def test_the_warm_up_is_a_fraction_or_a_number_of_steps(warmup: dict[str, Any], length: int) -> None:
    assert warmup_length(stage(steps=100, **warmup)) == length


@given(share=st.integers(1, 64), workers=st.integers(1, 8), most=st.integers(1, 64) | st.none())
def test_parts_of_a_share_are_equal_and_as_large_as_allowed(share: int, workers: int, most: int | None) -> None:
    rows = rows_at_once(stage(batch=share * workers, per_device_batch=most), workers)
    assert share % rows == 0
    assert rows == max(size for size in range(1, (most or share) + 1) if share % size == 0)


def test_settings_are_read_without_torch() -> None:
    """Whoever asks for --help waits for no library that trains."""
    modules = "opabinia.training.recipe.presets, opabinia.models.lora_config"
    code = f"import sys, {modules}; sys.exit(bool({{'torch', 'peft'}} & {{*sys.modules}}))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
