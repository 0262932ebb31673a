"""The stream as training sees it, on a small real source."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import ray

from opabinia.data.audit import audit_source
from opabinia.data.audited import AuditedSource
from opabinia.data.prompts import IGNORE, IMAGE_TOKEN
from opabinia.data.records import parse_record
from opabinia.data.source import SourceConfig
from opabinia.data.streaming.batching import BatchingConfig, GroupedBatches, PackedBatches, PlainBatches
from opabinia.data.streaming.plan import Share, StreamPlan
from opabinia.data.streaming.stream import Streamed, stream_batches
from opabinia.data.trainable import TextEncoding
from tests.data.specimens import conversation, save_picture, write_lines

PACKED = PackedBatches(type="packed", tokens=80, window=16)


def images_of(index: int) -> list[str]:
    """Every other record has no picture, every fifth has two."""
    return [] if index % 2 else [f"{index % 3}.jpg", "0.jpg"][: 2 if index % 5 == 0 else 1]


def record(index: int) -> dict[str, Any]:
    """Of different lengths; the number before the end of the answer tells which it is."""
    asked = "<image> " * len(images_of(index)) + "what colour ? " * (1 + index % 4)
    turns = [{"from": "human", "value": asked}, {"from": "gpt", "value": f"a red circle {index}"}]
    return conversation(index, conversations=turns) | {"image": images_of(index)}


@pytest.fixture(scope="module")
def encoding(tokenizer_folder: str) -> TextEncoding:
    return TextEncoding(tokenizer_folder, max_length=64)


@pytest.fixture(scope="module")
def audited(local_ray: None, encoding: TextEncoding, tmp_path_factory: pytest.TempPathFactory) -> AuditedSource:
    """40 records in five shards of unequal size, with a bad line here and there."""
    folder = tmp_path_factory.mktemp("source")
    for index in range(3):
        save_picture(folder / "images" / f"{index}.jpg", shade=70 * index)
    for shard, (first, last) in enumerate([(0, 3), (3, 13), (13, 20), (20, 21), (21, 40)]):
        write_lines(folder / "shards" / f"{shard}.jsonl", ["{", *map(record, range(first, last)), "[]"])
    source = SourceConfig(shards=str(folder / "shards"), images=str(folder / "images"))
    return audit_source("instruction", source, encoding, folder / "audits")


def plan(audited: AuditedSource, batching: BatchingConfig | None = None, batch: int = 8, seed: int = 0) -> StreamPlan:
    return StreamPlan(audited, seed, batch, batching or PlainBatches(), visual_tokens=4)


def stream(plan: StreamPlan, encoding: TextEncoding, steps: int, **changes: Any) -> list[Streamed]:
    share = changes.pop("share", Share(0, 1))
    return list(stream_batches(plan, encoding, share, steps=steps, pad_id=1, **changes))


def numbers(streamed: list[Streamed], encoding: TextEncoding) -> list[list[int]]:
    """Per batch the records in it, told by the token before each end of an answer."""
    from opabinia.data.tokenizer import load_tokenizer

    tokenizer: Any = load_tokenizer(encoding.tokenizer_folder)
    ends = [(one.parts[0].batch.input_ids == tokenizer.eos_token_id).nonzero().tolist() for one in streamed]
    return [
        [
            int(tokenizer.convert_ids_to_tokens(int(one.parts[0].batch.input_ids[row, place - 1])))
            for row, place in found
        ]
        for one, found in zip(streamed, ends, strict=True)
    ]


def test_a_batch_holds_tokens_labels_and_where_the_pictures_are(audited: AuditedSource, encoding: TextEncoding) -> None:
    streamed = stream(plan(audited), encoding, steps=5)
    order = [index for batch in numbers(streamed, encoding) for index in batch]
    rows = [
        row for one in streamed for row in zip(one.parts[0].batch.input_ids, one.parts[0].batch.labels, strict=True)
    ]
    for index, (ids, labels) in zip(order, rows, strict=True):
        expected = encoding.encode(parse_record(json.dumps(record(index)), "", 1))
        length = len(expected.input_ids)
        assert (ids[:length].tolist(), labels[:length].tolist()) == (expected.input_ids, expected.labels)
        assert set(ids[length:].tolist()) <= {1}
        assert set(labels[length:].tolist()) <= {IGNORE}
        assert expected.input_ids.count(IMAGE_TOKEN) == len(images_of(index))
    images = [Path(image).name for one in streamed for image in one.parts[0].batch.images]
    assert images == [image for index in order for image in images_of(index)]
    keys = {Path(address).name: key for key, address in audited.pictures()}
    assert [key for one in streamed for key in one.parts[0].batch.image_keys] == [keys[image] for image in images]


def test_an_epoch_uses_every_record_once_and_the_next_one_in_another_order(
    audited: AuditedSource, encoding: TextEncoding
) -> None:
    found = [index for batch in numbers(stream(plan(audited), encoding, steps=10), encoding) for index in batch]
    assert sorted(found[:40]) == sorted(found[40:]) == list(range(40))
    assert found[:40] != found[40:]


@pytest.mark.parametrize(
    "batching", [PlainBatches(), GroupedBatches(type="grouped", window=3), PACKED], ids=lambda b: b.type
)
def test_stopped_after_any_batch_it_goes_on_where_it_was_with_another_number_of_workers(
    audited: AuditedSource, encoding: TextEncoding, batching: BatchingConfig
) -> None:
    whole = plan(audited, batching, batch=4)
    alone = stream(whole, encoding, steps=12)
    rest = [stream(whole, encoding, steps=7, start=alone[4].position, share=Share(worker, 2)) for worker in (0, 1)]
    together = [[*first, *second] for first, second in zip(*(numbers(part, encoding) for part in rest), strict=True)]
    assert together == numbers(alone[5:], encoding)
    assert [one.position for one in rest[0]] == [one.position for one in alone[5:]]


def test_packed_rows_number_their_samples(audited: AuditedSource, encoding: TextEncoding) -> None:
    for one in stream(plan(audited, PACKED, batch=2), encoding, steps=6):
        samples = one.parts[0].batch.samples
        assert samples is not None
        assert (samples.gt(0) == one.parts[0].batch.attention_mask).all()
        begins = (
            one.parts[0].batch.input_ids == encoding.encode(parse_record(json.dumps(record(1)), "", 1)).input_ids[0]
        )
        assert samples.max() > 1
        assert begins.sum() == sum(int(row.max()) for row in samples)


def test_a_shard_that_was_changed_after_the_audit_stops_the_stream(
    local_ray: None, encoding: TextEncoding, tmp_path: Path
) -> None:
    shard = write_lines(tmp_path / "shards" / "a.jsonl", map(conversation, range(8)))
    (tmp_path / "images").mkdir()
    source = SourceConfig(shards=str(tmp_path / "shards"), images=str(tmp_path / "images"))
    audited = audit_source("instruction", source, encoding, tmp_path / "audits")
    content = shard.read_text()
    shard.write_text(content.replace("red", "green", 1))
    with pytest.raises(
        Exception, match=r"a\.jsonl: had \d+ bytes when it was audited and has \d+ now; start the job anew"
    ):
        stream(plan(audited), encoding, steps=1)
    shard.write_text(content.replace('{"id"', '["id"', 1))
    with pytest.raises(Exception, match=r"a\.jsonl: line 1 was changed after the audit"):
        stream(plan(audited), encoding, steps=1)
    shard.unlink()
    with pytest.raises(Exception, match=r"a\.jsonl: was there when the data were audited and is missing now"):
        stream(plan(audited), encoding, steps=1)


def test_a_share_comes_in_parts_of_the_asked_rows(audited: AuditedSource, encoding: TextEncoding) -> None:
    whole, in_parts = stream(plan(audited), encoding, steps=4), stream(plan(audited), encoding, steps=4, rows=2)
    for one, parted in zip(whole, in_parts, strict=True):
        assert [len(part.batch.input_ids) for part in parted.parts] == [2, 2, 2, 2]
        tokens = [
            row[mask].tolist()
            for row, mask in zip(one.parts[0].batch.input_ids, one.parts[0].batch.attention_mask, strict=True)
        ]
        assert [
            row[mask].tolist()
            for part in parted.parts
            for row, mask in zip(part.batch.input_ids, part.batch.attention_mask, strict=True)
        ] == tokens
        assert parted.position == one.position


def test_a_batch_that_workers_cannot_share_is_refused(audited: AuditedSource, encoding: TextEncoding) -> None:
    with pytest.raises(ValueError, match="batch: 8 rows are no multiple of 3 workers with 2 at a time; use 6"):
        stream(plan(audited), encoding, steps=1, share=Share(0, 3))


def test_rows_flow_while_training_holds_nearly_all_processors(audited: AuditedSource, encoding: TextEncoding) -> None:
    @ray.remote(num_cpus=1.75)
    class Training:
        def ready(self) -> bool:
            return True

    training = Training.remote()
    ray.get(training.ready.remote())
    try:
        assert len(stream(plan(audited), encoding, steps=5)) == 5
    finally:
        ray.kill(training)


def test_more_windows_than_one_data_set_takes_follow_each_other(
    audited: AuditedSource, encoding: TextEncoding, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = plan(audited, PackedBatches(type="packed", tokens=80, window=3), batch=4)
    at_once = numbers(stream(tiny, encoding, steps=15), encoding)
    monkeypatch.setattr("opabinia.data.streaming.stream.WINDOWS_AT_ONCE", 8)
    streamed = stream(tiny, encoding, steps=15)
    assert numbers(streamed, encoding) == at_once
    assert numbers(stream(tiny, encoding, steps=3, start=streamed[11].position), encoding) == at_once[12:]
