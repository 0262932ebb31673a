"""What the data are like is counted where they were audited, told from their first lines where not, and assumed before they exist."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from opabinia.data.arrow import pa
from opabinia.data.audited import RECORD_SCHEMA, RECORDS_NAME, SUMMARY_NAME, AuditedShard, AuditSummary
from opabinia.data.source import DataConfig, SourceConfig
from opabinia.evaluation.questions import BenchmarkConfig
from opabinia.sweeps.planning.workload import Workload, Workloads, look_at_data
from opabinia.training.inputs import TrainingInputs, save_inputs

BENCHMARK = BenchmarkConfig(folder="nowhere", images="nowhere")


def looked_at(folder: Path, max_length: int = 100, rendered: int | None = None, stated: int | None = None) -> Workloads:
    source = SourceConfig(shards=str(folder / "shards"), images=str(folder), records=stated)
    data = DataConfig(sources={"d": source}, max_length=max_length)
    return look_at_data(data, ["d", "d"], BENCHMARK, folder / "inputs.json", rendered)


def write_shard(folder: Path, records: list[dict[str, object]], name: str = "0.jsonl") -> Path:
    (folder / "shards").mkdir(exist_ok=True)
    shard = folder / "shards" / name
    shard.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    return shard


def record(characters: int, image: object = None) -> dict[str, object]:
    turns = [{"from": "human", "value": "x" * (characters // 2)}, {"from": "gpt", "value": "y" * (characters // 2)}]
    return {"conversations": turns} if image is None else {"image": image, "conversations": turns}


def audit(folder: Path, shard: Path, rows: list[tuple[int, list[str]]], others: str = "") -> None:
    place = folder / "audit"
    place.mkdir()
    table = pa.Table.from_pylist(
        [
            {"line": n, "offset": 0, "size": 1, "tokens": tokens, "images": keys, "keys": keys}
            for n, (tokens, keys) in enumerate(rows)
        ],
        schema=RECORD_SCHEMA,
    )
    with pa.OSFile(str(place / RECORDS_NAME), "wb") as sink, pa.ipc.new_file(sink, RECORD_SCHEMA) as writer:
        writer.write_table(table)
    found = AuditedShard(address=f"{shard}{others}", bytes=1, records=len(rows))
    summary = AuditSummary(source="d", images=str(folder), shards=(found,), rejected=0)
    (place / SUMMARY_NAME).write_text(summary.model_dump_json())
    inputs = TrainingInputs(
        tokenizer=folder, audits={"d": place}, rejected={"d": 0}, benchmark_keys={"q.png": "key of q"}, features=None
    )
    save_inputs(inputs, folder / "inputs.json")


def test_an_audit_counts_records_tokens_and_pictures(tmp_path: Path) -> None:
    audit(tmp_path, write_shard(tmp_path, [record(4)]), [(11, ["a"]), (22, ["a", "b"]), (6, [])])
    seen = looked_at(tmp_path)
    # A picture counts as one of the tokens.
    assert seen.sources == {"d": Workload(3, (11 + 22 + 6 - 3) / 3, 1.0, "audited")}
    assert set(seen.keys or ()) == {"a", "b", "key of q"}
    assert seen.pictures == 3
    assert seen.assumptions == []


def test_an_audit_of_other_shards_is_not_believed(tmp_path: Path) -> None:
    shard = write_shard(tmp_path, [record(40, "a.png")])
    audit(tmp_path, shard, [(11, ["a"])], others=".old")
    seen = looked_at(tmp_path)
    assert seen.sources["d"].known == "sampled"
    assert seen.keys is None


def test_the_first_lines_tell_length_pictures_and_number(tmp_path: Path) -> None:
    write_shard(tmp_path, [record(40, "a.png"), record(80, ["a.png", "b.png"]), record(40)] * 100)
    seen = looked_at(tmp_path).sources["d"]
    assert seen.known == "sampled"
    assert seen.records == pytest.approx(300, rel=0.02)
    assert (seen.text, seen.pictures) == (pytest.approx(160 / 3 / 4, rel=0.02), pytest.approx(1, rel=0.02))


def test_text_is_cut_where_training_cuts_it(tmp_path: Path) -> None:
    write_shard(tmp_path, [record(4000)])
    assert looked_at(tmp_path, max_length=50).sources["d"].text == 50


def test_a_line_that_is_no_record_breaks_nothing(tmp_path: Path) -> None:
    write_shard(tmp_path, [record(40)]).open("a").write("{cut off")
    assert looked_at(tmp_path).sources["d"].records == 2


def test_before_there_are_shards_a_picture_and_a_full_text_are_assumed(tmp_path: Path) -> None:
    seen = looked_at(tmp_path, max_length=64)
    assert seen.sources == {"d": Workload(None, 64, 1.0, "assumed")}
    assert seen.pictures is None
    assert seen.records() == {}
    assert "assumed" in seen.assumptions[0]


def test_a_world_that_will_be_rendered_says_how_many(tmp_path: Path) -> None:
    seen = looked_at(tmp_path, rendered=30)
    assert (seen.sources["d"].records, seen.pictures) == (30, 30)


def test_what_is_said_of_their_number_holds_until_there_are_shards(tmp_path: Path) -> None:
    seen = looked_at(tmp_path, stated=700)
    assert (seen.records(), seen.pictures) == ({"d": 700}, 700)
    assert seen.sources["d"].known == "assumed"
    write_shard(tmp_path, [record(40)] * 3)
    assert looked_at(tmp_path, stated=700).records() == {"d": 3}


def test_inputs_of_an_earlier_version_are_not_read(tmp_path: Path) -> None:
    write_shard(tmp_path, [record(40)])
    (tmp_path / "inputs.json").write_text('{"image_keys": {}}')
    assert looked_at(tmp_path).sources["d"].known == "sampled"
