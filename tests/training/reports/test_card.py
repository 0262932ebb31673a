"""An exported model says what it is made of, how it was trained, what it scored and under which licences."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.settings.sva import SvaSettings
from jobs.export_checkpoint import main
from opabinia.data.source import DataConfig, SourceConfig
from opabinia.evaluation.questions import BenchmarkConfig
from opabinia.models.checkpoint import save_checkpoint
from opabinia.models.multimodal_config import ModelConfig
from opabinia.models.opening import open_checkpoint
from opabinia.training.recipe.stages import StageConfig
from opabinia.training.reports.card import model_card, record_training
from opabinia.training.run import RunConfig, WorkersConfig
from tests.evaluation.specimens import report, scores
from tests.models.small import ENCODERS, LANGUAGE_MODEL, small_model, tokenizer


def a_run(model: ModelConfig) -> RunConfig:
    source = SourceConfig(shards="shards", images="images")
    stages = (
        StageConfig(name="align", data="captions", trains=("connector",), steps=9, batch=64, lr=1e-3, base_batch=16),
        StageConfig(
            name="instruct", data="questions", trains=("connector", "language_model"), steps=7, batch=16, lr=2e-4,
            base_batch=16, learning_rates={"language_model": 1e-5},
        ),
    )  # fmt: skip
    return RunConfig(
        name="a-run", seed=3, model=model, connector_label="sva", stages=stages, workers=WorkersConfig(),
        data=DataConfig(sources={"captions": source, "questions": source}), inputs=Path("inputs"),
        benchmark=BenchmarkConfig(folder="benchmark", images="images"),
    )  # fmt: skip


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """As a training worker leaves it."""
    model = small_model(SvaSettings())
    save_checkpoint(model, tokenizer(), tmp_path / "checkpoint")
    record_training(
        tmp_path / "checkpoint", a_run(model.config), report("a-run", with_image=scores(80, 60, 40, 70)), None
    )
    return tmp_path / "checkpoint"


def test_the_card_tells_the_whole_story(checkpoint: Path) -> None:
    card = model_card(checkpoint, open_checkpoint(checkpoint).model.config)
    assert "# a-run\n" in card
    for name in ENCODERS:
        assert f"| `{name}` | encoder | Apache-2.0 |" in card
    assert f"| `{LANGUAGE_MODEL}` | language model | Apache-2.0 |" in card
    assert "| align | connector | captions | 9 | 64 | connector 0.002 | cosine | 1 | 0 |" in card
    assert "connector 0.0002, language_model 1e-05" in card
    assert "Seed 3, 1 worker(s)." in card
    assert "| captions | shards | the tokenizer's own |" in card
    assert f"{scores(80, 60, 40, 70).average:.1f}" in card


def test_a_checkpoint_without_a_record_says_so(tmp_path: Path) -> None:
    model = small_model(SvaSettings())
    save_checkpoint(model, tokenizer(), tmp_path / "checkpoint")
    assert model_card(tmp_path / "checkpoint", model.config).count("Not recorded in the checkpoint.") == 2


def test_a_checkpoint_goes_through_transformers_layout_and_back_with_its_answers(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--checkpoint", str(checkpoint), "--folder", str(tmp_path / "export")])
    assert "export" in capsys.readouterr().out
    assert "# a-run" in (tmp_path / "export" / "README.md").read_text()
    main(["--checkpoint", str(tmp_path / "export"), "--folder", str(tmp_path / "again")])
    for name in ("model.safetensors", "tokenizer.json", "chat_template.jinja", "processor_config.json"):
        assert (tmp_path / "export" / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def test_an_export_never_overwrites(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "export").mkdir()
    with pytest.raises(SystemExit):
        main(["--checkpoint", str(checkpoint), "--folder", str(tmp_path / "export")])
    assert "exists already" in capsys.readouterr().err


def test_a_layout_that_cannot_hold_the_model_is_refused(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["--checkpoint", str(checkpoint), "--layout", "cambrian", "--folder", str(tmp_path / "export")])
    assert "row_separator: false, but the layout ends every row" in capsys.readouterr().err
    assert not (tmp_path / "export").exists()


def test_a_folder_that_is_no_checkpoint_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--checkpoint", str(tmp_path), "--folder", str(tmp_path / "export")])
    assert "neither opabinia.json nor a config.json of a known model_type" in capsys.readouterr().err
