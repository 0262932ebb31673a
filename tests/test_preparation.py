"""What is settled before any run starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from opabinia.experiment import Experiment
from opabinia.preparation import absolute_paths, check_sweep, claim_output, save_tokenizer


def experiment(output: Path, name: str = "mine", **changes: object) -> Experiment:
    source = {"shards": "data/shards", "images": "data/images"}
    stage = {"name": "s", "data": "a", "trains": ["connector"], "steps": 1, "batch": 1, "lr": 1e-3, "base_batch": 1}
    settings = {
        "name": name,
        "output": output,
        "data": {"sources": {"a": source}},
        "stages": [stage],
        "benchmark": {"folder": "data/benchmark", "images": "data/images"},
        "sweep": {"pool": ["burgess/caption-vit", "burgess/mim-vit"], "connectors": [{"type": "sva"}]},
    }
    return Experiment.model_validate({**settings, **changes})


def test_an_output_folder_stays_with_its_experiment(tmp_path: Path) -> None:
    claim_output(experiment(tmp_path / "out"))
    claim_output(experiment(tmp_path / "out"))
    with pytest.raises(ValueError, match="belongs to experiment 'mine', not 'yours'"):
        claim_output(experiment(tmp_path / "out", name="yours"))


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match="is not empty and belongs to no experiment"):
        claim_output(experiment(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_sweep_names_every_encoder_it_needs_once(tmp_path: Path) -> None:
    assert check_sweep(experiment(tmp_path)) == ("burgess/caption-vit", "burgess/mim-vit")


def test_an_unknown_encoder_is_named_with_its_place_and_the_nearest(tmp_path: Path) -> None:
    sweep = {"encoder_sets": [["burgess/caption-vit", "burgess/mimvit"]], "connectors": [{"type": "sva"}]}
    with pytest.raises(ValueError, match=r"sweep\.encoder_sets\.0\.1: .*did you mean 'burgess/mim-vit'"):
        check_sweep(experiment(tmp_path, sweep=sweep))


def test_paths_become_absolute_for_workers_that_run_elsewhere(tmp_path: Path) -> None:
    resolved = absolute_paths(experiment(Path("out")))
    source = resolved.data.sources["a"]
    for path in (resolved.output, source.shards, source.images, resolved.benchmark.folder, resolved.benchmark.images):
        assert Path(path).is_absolute()


def spoken(folder: Path) -> str:
    from opabinia.models.language_models import load_tokenizer

    message = {"role": "user", "content": "red ?"}
    return str(load_tokenizer(str(folder)).apply_chat_template([message], tokenize=False, add_generation_prompt=True))


def test_runs_read_the_language_models_own_tokenizer_or_one_that_speaks_the_asked_format(tmp_path: Path) -> None:
    data = {"sources": {"a": {"shards": "s", "images": "i", "conversation": "plain"}}}
    own = save_tokenizer(experiment(tmp_path, data=data))
    vicuna = save_tokenizer(experiment(tmp_path, data={**data, "conversation": "vicuna_v1", "system": "be brief"}))
    assert spoken(own) == "<s><user>red ?<assistant>"
    assert spoken(vicuna) == "<s>be brief USER: red ? ASSISTANT:"
    assert own != vicuna
    assert save_tokenizer(experiment(tmp_path, data=data)) == own


def test_a_format_that_the_language_model_cannot_speak_is_refused_before_any_run(tmp_path: Path) -> None:
    sources = {"a": {"shards": "s", "images": "i"}}
    with pytest.raises(ValueError, match=r"^conversation: 'llama_3' needs the token '<\|begin_of_text\|>'"):
        save_tokenizer(experiment(tmp_path, data={"sources": sources, "conversation": "llama_3"}))
    sources["a"]["conversation"] = "phi3"
    with pytest.raises(ValueError, match=r"^conversation: 'phi3' needs the token '<\|system\|>'"):
        save_tokenizer(experiment(tmp_path, data={"sources": sources}))
