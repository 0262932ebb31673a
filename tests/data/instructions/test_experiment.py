"""The experiment files that ship with the jobs, and the input that they name."""

from __future__ import annotations

from pathlib import Path

import pytest

from opabinia.command_line.settings import parse_settings
from opabinia.data.instructions.experiment import CaptionSource, InstructionExperiment, PageSource
from opabinia.data.instructions.generation import caption_files
from tests.conftest import ROOT

EXPERIMENTS = ROOT / "jobs" / "experiments"


def load(name: str, *flags: str) -> InstructionExperiment:
    return parse_settings(InstructionExperiment, ["--config", str(EXPERIMENTS / name), *flags])


def test_the_caption_experiment_is_sound() -> None:
    given = load("instructions_captions.yaml")
    assert isinstance(given.source, CaptionSource)
    assert given.endpoint.base_url == "http://127.0.0.1:8000/v1"
    assert given.endpoint.api_key_env is None
    assert given.licence_of("pmc-oa") == "CC BY 4.0"


def test_the_page_experiment_is_the_data_engine_s() -> None:
    given = load("instructions_pages.yaml")
    assert isinstance(given.source, PageSource)
    assert (given.topics, given.source.wiki.pages_per_topic, given.words_at_least) == (20, 10, 50)
    assert given.source.fields is None


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--source.type", "page"], "did you mean 'pages'"),
        (["--source.until", "never"], "source.until"),
        (["--endpoint.base_url", "ftp://host"], "endpoint.base_url: is no address"),
        (["--progress_s", "0"], "progress_s"),
    ],
)
def test_mistakes_are_named_by_field(flags: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load("instructions_pages.yaml", *flags)


def test_a_folder_stands_for_its_jsonl_files_by_name_and_none_counts_twice(tmp_path: Path) -> None:
    for name in ("b.jsonl", "a.jsonl", "notes.txt"):
        (tmp_path / name).touch()
    source = CaptionSource(files=(tmp_path, tmp_path / "a.jsonl"), images=tmp_path)
    assert [file.name for file in caption_files(source)] == ["a.jsonl", "b.jsonl"]


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.jsonl").touch()
    for missing in ("empty", "gone.jsonl"):
        source = CaptionSource(files=(tmp_path / "a.jsonl", tmp_path / missing), images=tmp_path)
        with pytest.raises(ValueError, match=rf"source\.files\.1: .*{missing} holds no \.jsonl file"):
            caption_files(source)
