from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import ray
import ray.data

from opabinia.data.pipeline import execution_options
from opabinia.data.prompts import IGNORE, IMAGE_TOKEN, encode_conversation
from opabinia.data.records import parse_record
from opabinia.data.source import SourceConfig
from opabinia.data.stream import stream_source
from tests.data.specimens import conversation, write_lines

KEYS = {f"{index}.jpg": f"{index:064x}" for index in range(40)}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> SourceConfig:
    """40 records in five shards of unequal size: even ones with an image, odd ones without."""
    folder = tmp_path_factory.mktemp("source")
    (folder / "images").mkdir()
    for shard, (first, last) in enumerate([(0, 3), (3, 13), (13, 20), (20, 21), (21, 40)]):
        records = [conversation(i, None if i % 2 else f"{i}.jpg") for i in range(first, last)]
        write_lines(folder / "shards" / f"{shard}.jsonl", records)
    return SourceConfig(shards=str(folder / "shards"), images=str(folder / "images"))


def stream(source: SourceConfig, tokenizer_folder: str, **changes: Any) -> ray.data.Dataset:
    settings = {"seed": 0, "samples": 40, "image_keys": KEYS, "max_length": 64} | changes
    return stream_source("instruction", source, tokenizer_folder=tokenizer_folder, **settings)


def rows(dataset: Any, batch: int = 16) -> list[dict[str, Any]]:
    return [
        row for table in dataset.iter_batches(batch_size=batch, batch_format="pyarrow") for row in table.to_pylist()
    ]


@pytest.fixture(scope="module")
def number(tokenizer: Any) -> Any:
    """Which record a row came from: the number before the end of its answer."""
    return lambda row: int(tokenizer.convert_ids_to_tokens(row["input_ids"][-2]))


def test_a_row_holds_tokens_labels_and_where_the_picture_is(
    local_ray: None, source: SourceConfig, tokenizer_folder: str, tokenizer: Any, number: Any
) -> None:
    by_number = {number(row): row for row in rows(stream(source, tokenizer_folder))}
    import json

    for index in (4, 7):
        image = None if index % 2 else f"{index}.jpg"
        record = parse_record(json.dumps(conversation(index, image)), "", 1)
        encoded = encode_conversation(tokenizer, record.turns)
        assert by_number[index] == {
            "input_ids": encoded.input_ids,
            "labels": encoded.labels,
            "image": "" if image is None else str(Path(source.images) / image),
            "image_key": "" if image is None else KEYS[image],
        }


def test_the_same_seed_gives_the_same_order_and_another_seed_another(
    local_ray: None, source: SourceConfig, tokenizer_folder: str
) -> None:
    first, again, other = (rows(stream(source, tokenizer_folder, seed=seed)) for seed in (5, 5, 6))
    assert first == again
    assert first != other


def test_an_epoch_uses_every_record_once_and_the_next_one_in_another_order(
    local_ray: None, source: SourceConfig, tokenizer_folder: str, number: Any
) -> None:
    numbers = [number(row) for row in rows(stream(source, tokenizer_folder, samples=90))]
    assert sorted(numbers[:40]) == sorted(numbers[40:80]) == list(range(40))
    assert numbers[:40] != numbers[40:80]
    assert numbers[:40] != list(range(40))
    assert len(numbers) == 90


def test_the_order_does_not_depend_on_where_the_data_lie(
    local_ray: None, source: SourceConfig, tokenizer_folder: str, tmp_path: Path, number: Any
) -> None:
    import shutil

    moved = SourceConfig(shards=str(shutil.copytree(source.shards, tmp_path / "s")), images=source.images)
    assert rows(stream(moved, tokenizer_folder)) == rows(stream(source, tokenizer_folder))


def test_rejected_lines_and_unknown_pictures_are_left_out_and_the_count_still_holds(
    local_ray: None, source: SourceConfig, tokenizer_folder: str, tmp_path: Path, number: Any
) -> None:
    write_lines(tmp_path / "a.jsonl", ["{", conversation(1), conversation(2, "gone.jpg"), conversation(3), "[]"])
    write_lines(tmp_path / "b.jsonl", ["{", "null"])
    bad = SourceConfig(shards=str(tmp_path), images=source.images)
    assert Counter(number(row) for row in rows(stream(bad, tokenizer_folder, samples=6))) == {1: 3, 3: 3}


def test_lines_that_the_audit_rejected_are_left_out_of_every_epoch(
    local_ray: None, source: SourceConfig, tokenizer_folder: str, number: Any
) -> None:
    rejected = {str(Path(source.shards) / "1.jsonl"): (1, 4), str(Path(source.shards) / "3.jsonl"): (1,)}
    found = [number(row) for row in rows(stream(source, tokenizer_folder, samples=74, rejected=rejected))]
    assert sorted(found[:37]) == sorted(found[37:]) == sorted({*range(40)} - {3, 6, 20})


def test_a_record_whose_mask_cannot_be_built_is_never_trained_on(
    local_ray: None, source: SourceConfig, tokenizer_folder: str, tmp_path: Path, number: Any
) -> None:
    ended = [{"from": "human", "value": "red"}, {"from": "gpt", "value": "blue </s> 7"}]
    write_lines(tmp_path / "a.jsonl", [conversation(1), conversation(7, conversations=ended), conversation(2)])
    bad = SourceConfig(shards=str(tmp_path), images=source.images)
    assert {number(row) for row in rows(stream(bad, tokenizer_folder, samples=9))} == {1, 2}
    write_lines(tmp_path / "a.jsonl", [conversation(7, conversations=ended)])
    with pytest.raises(Exception, match=r"none of its records can be trained on; one: turn 2: the answer holds"):
        rows(stream(bad, tokenizer_folder, samples=9))


def test_a_source_is_written_in_its_own_format(local_ray: None, source: SourceConfig, tokenizer_folder: str) -> None:
    plain = source.model_copy(update={"conversation": "plain"})
    found = rows(stream(plain, tokenizer_folder, samples=20, image_keys=KEYS))
    assert {row["input_ids"].index(IMAGE_TOKEN) for row in found} == {1}
    assert all(row["labels"][2:] == row["input_ids"][2:] for row in found)


def test_long_records_are_cut_and_those_without_an_answer_left_replaced(
    local_ray: None, source: SourceConfig, tokenizer_folder: str, tmp_path: Path
) -> None:
    turns = [{"from": "human", "value": "red " * 50}, {"from": "gpt", "value": "blue"}]
    answer = [{"from": "human", "value": "red"}, {"from": "gpt", "value": "blue " * 50}]
    write_lines(tmp_path / "a.jsonl", [conversation(1, conversations=turns), conversation(2, conversations=answer)])
    long = SourceConfig(shards=str(tmp_path), images=source.images)
    found = rows(stream(long, tokenizer_folder, samples=4, max_length=16))
    assert [len(row["input_ids"]) for row in found] == [16] * 4
    assert all(any(label != IGNORE for label in row["labels"]) for row in found)


def test_a_limit_that_leaves_no_answer_at_all_is_an_error(
    local_ray: None, source: SourceConfig, tokenizer_folder: str
) -> None:
    with pytest.raises(Exception, match=r"data\.max_length: 4 tokens leave no answer"):
        rows(stream(source, tokenizer_folder, max_length=4))


def test_nothing_usable_is_refused_before_anything_starts(
    source: SourceConfig, tokenizer_folder: str, tmp_path: Path
) -> None:
    write_lines(tmp_path / "a.jsonl", ["{"])
    with pytest.raises(ValueError, match=r"^data\.sources\.instruction\.shards: none of its records can be used"):
        stream(SourceConfig(shards=str(tmp_path), images=source.images), tokenizer_folder)


def test_a_folder_without_a_tokenizer_is_named(local_ray: None, source: SourceConfig, tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"language_model: no tokenizer\.json"):
        rows(stream(source, str(tmp_path)))


def test_one_consumer_of_a_split_sees_the_same_order(
    local_ray: None, source: SourceConfig, tokenizer_folder: str
) -> None:
    [only] = stream(source, tokenizer_folder).streaming_split(1, equal=True)
    assert rows(only) == rows(stream(source, tokenizer_folder))


def test_two_consumers_of_a_split_share_every_row(
    local_ray: None, source: SourceConfig, tokenizer_folder: str, number: Any
) -> None:
    @ray.remote(num_cpus=0.25)
    def consume(iterator: Any) -> list[dict[str, Any]]:
        return [row for table in iterator.iter_batches(batch_format="pyarrow") for row in table.to_pylist()]

    parts = ray.get([consume.remote(part) for part in stream(source, tokenizer_folder).streaming_split(2, equal=True)])
    assert sorted(number(row) for part in parts for row in part) == list(range(40))
    assert len(parts[0]) == len(parts[1])


def test_rows_flow_while_training_holds_nearly_all_processors(
    local_ray: None, source: SourceConfig, tokenizer_folder: str
) -> None:
    @ray.remote(num_cpus=1.75)
    class Training:
        def ready(self) -> bool:
            return True

    training = Training.remote()
    ray.get(training.ready.remote())
    try:
        assert len(rows(stream(source, tokenizer_folder))) == 40
    finally:
        ray.kill(training)


def test_a_second_stream_starts_within_seconds(local_ray: None, source: SourceConfig, tokenizer_folder: str) -> None:
    rows(stream(source, tokenizer_folder))
    start = time.monotonic()
    next(iter(stream(source, tokenizer_folder).iter_batches(batch_size=4, batch_format="pyarrow")))
    assert time.monotonic() - start < 5


def test_images_are_marked_where_they_go(local_ray: None, source: SourceConfig, tokenizer_folder: str) -> None:
    for row in rows(stream(source, tokenizer_folder)):
        assert row["input_ids"].count(IMAGE_TOKEN) == (1 if row["image"] else 0)


def test_row_order_is_kept_by_the_options_that_train_is_given() -> None:
    assert execution_options().preserve_order
