from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from opabinia.data.source import DataConfig, SourceConfig, images_address, list_shards


def source(shards: object, images: object = "images") -> SourceConfig:
    return SourceConfig(shards=str(shards), images=str(images))


def test_a_folder_lists_its_jsonl_files_sorted(tmp_path: Path) -> None:
    for name in ("b.jsonl", "a.jsonl", "notes.txt"):
        (tmp_path / name).write_text("{}\n")
    assert list_shards("alignment", source(tmp_path)) == [str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")]


def test_a_glob_reaches_into_subfolders(tmp_path: Path) -> None:
    (tmp_path / "x" / "y").mkdir(parents=True)
    (tmp_path / "x" / "y" / "a.jsonl").write_text("{}\n")
    assert list_shards("alignment", source(tmp_path / "**" / "*.jsonl")) == [str(tmp_path / "x" / "y" / "a.jsonl")]


def test_a_folder_with_brackets_in_its_name_is_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "run[1]"
    folder.mkdir()
    (folder / "a.jsonl").write_text("{}\n")
    assert list_shards("alignment", source(folder)) == [str(folder / "a.jsonl")]


def test_no_shards_names_the_field_and_the_place(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^data\.sources\.alignment\.shards: no \*\.jsonl under .*; point it at"):
        list_shards("alignment", source(tmp_path / "nowhere"))


def test_an_empty_data_set_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").touch()
    with pytest.raises(ValueError, match=r"^data\.sources\.instruction\.shards: .* empty"):
        list_shards("instruction", source(tmp_path))


def test_an_images_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^data\.sources\.alignment\.images: .* is not a folder"):
        images_address("alignment", source(tmp_path, tmp_path / "pictures"))


def test_a_data_set_needs_a_source_and_a_sensible_limit() -> None:
    with pytest.raises(ValidationError, match="sources"):
        DataConfig(sources={})
    with pytest.raises(ValidationError, match="max_rejected"):
        DataConfig(sources={"alignment": source("x")}, max_rejected=1.5)


def data(**changes: object) -> DataConfig:
    return DataConfig.model_validate({"sources": {"a": {"shards": "s", "images": "i"}}, **changes})


def test_an_unknown_conversation_format_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValidationError, match=r"conversation: unknown .* 'lama_3'; did you mean 'llama_3'"):
        data(conversation="lama_3")
    with pytest.raises(ValidationError, match=r"conversation: unknown .* 'plane'; did you mean 'plain'"):
        SourceConfig(shards="s", images="i", conversation="plane")


def test_captions_alone_are_no_format_for_a_whole_experiment() -> None:
    with pytest.raises(
        ValidationError, match=r"conversation: 'plain' drops the questions.*sources\.NAME\.conversation"
    ):
        data(conversation="plain")


def test_a_system_text_needs_a_format_with_a_place_for_it() -> None:
    assert data(conversation="vicuna_v1", system="").system == ""
    for conversation in (None, "gemma"):
        with pytest.raises(ValidationError, match=r"system: .* takes no system text"):
            data(conversation=conversation, system="Be brief.")


def test_a_number_of_records_that_is_not_given_is_not_written() -> None:
    assert "records" not in source("shards").model_dump(mode="json")
    given = SourceConfig(shards="shards", images="images", records=7)
    assert SourceConfig.model_validate(given.model_dump(mode="json")) == given
