"""Preparing a set, step by step, with records of text alone, which need no workers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from opabinia.command_line import parse_settings
from opabinia.data.curation.settings import CurationConfig
from opabinia.data.deduplication.settings import DeduplicationConfig
from opabinia.data.preparation.index import read_index, read_rows
from opabinia.data.preparation.reading import RejectedLine
from opabinia.data.preparation.settings import ShardingConfig
from opabinia.data.prepare import Prepared, render
from opabinia.data.prepare_config import BenchmarkPicturesConfig, InputConfig, PrepareConfig
from opabinia.data.prepare_inputs import Pictures, benchmark_pictures, find_all, find_inputs, find_pictures, read_inputs
from opabinia.data.prepare_steps import Step, curate_step, deal, deduplicate_step, hash_step, read_step, write_step
from opabinia.data.source import DataConfig
from opabinia.data.system_prompts.table import SystemPromptConfig
from tests.conftest import ROOT
from tests.data.preparation.published import as_jsonl, turns
from tests.data.specimens import save_picture, write_lines

EXAMPLE = ROOT / "jobs" / "experiments" / "prepare_example.yaml"
SMALL = ShardingConfig(shard_size=3)
NO_PICTURES = Pictures("/nowhere", "0")


def settings(**changes: Any) -> PrepareConfig:
    sets = {"mixed": {"inputs": [{"files": "a.jsonl"}], "images": "images"}}
    return PrepareConfig.model_validate({"output": "out", "sets": sets} | changes)


def texts(*questions: str, source: str = "ChartQA") -> list[dict[str, Any]]:
    return [{"id": str(n), "source": source, "conversations": turns(text)} for n, text in enumerate(questions)]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "out" / "mixed"


def read(home: Path, records: list[dict[str, Any]]) -> Step:
    file = home.parent.parent / "records.jsonl"
    file.write_bytes(as_jsonl(records))
    return read_file(home, file)


def read_file(home: Path, file: Path) -> Step:
    return read_step(home, find_inputs(home, [InputConfig(files=str(file))]), SMALL)


def chosen(home: Path, *rows: int) -> Step:
    """Stands in for the step that found these rows sound."""
    folder = home / f"validate-{'-'.join(map(str, rows))}"
    folder.mkdir(parents=True)
    np.save(folder / "rows.npy", np.array(rows, dtype=np.int64))
    return Step(folder, {})


def questions_of(folder: Path) -> list[str]:
    rows = range(read_index(folder).num_rows)
    return [record["conversations"][0]["value"] for record in read_rows(folder, rows)]


# What is read.


def test_files_are_read_once_in_the_order_of_the_inputs_and_sources_that_are_missing_are_added(tmp_path: Path) -> None:
    write_lines(tmp_path / "in" / "a[1].jsonl", [{"id": 1}, {"id": 2, "source": "own"}, {"id": 3, "source": 7}])
    write_lines(tmp_path / "in" / "b.jsonl", ["{", {"id": 4, "source": ""}])
    inputs = [InputConfig(files=str(tmp_path / "in" / "b.jsonl"), source="b"), InputConfig(files=str(tmp_path / "in"))]
    found = find_inputs(tmp_path / "out" / "mixed", inputs)
    assert [(Path(each.file).name, each.source) for each in found] == [("b.jsonl", "b"), ("a[1].jsonl", None)]
    contents = [(line, content) for _, line, content in read_inputs("mixed", found)]
    assert isinstance(contents[0][1], RejectedLine)
    assert contents[1:] == [
        (2, {"id": 4, "source": "b"}),
        (1, {"id": 1}),
        (2, {"id": 2, "source": "own"}),
        (3, {"id": 3, "source": 7}),
    ]


def test_what_a_job_wrote_is_never_its_input_nor_among_its_images(tmp_path: Path) -> None:
    home = tmp_path / "data" / "out" / "mixed"
    write_lines(home / "read-12" / "data" / "part-00000.jsonl", [{"id": 1}])
    with pytest.raises(ValueError, match=r"sets\.mixed\.inputs: .*part-00000\.jsonl lies in the output folder"):
        find_inputs(home, [InputConfig(files=str(tmp_path / "data"))])
    with pytest.raises(ValueError, match=r"output: .* lies in the images folder"):
        find_pictures("sets.mixed.images", str(tmp_path / "data"), home.parent)
    with pytest.raises(ValueError, match=r"^sets\.mixed\.images: '.*absent' is not a folder"):
        find_pictures("sets.mixed.images", str(tmp_path / "absent"), home.parent)


def test_files_without_a_record_are_refused_with_what_is_wrong_with_the_first(home: Path, tmp_path: Path) -> None:
    file = write_lines(tmp_path / "a.jsonl", ["<html>", "404"])
    with pytest.raises(
        ValueError, match=r"^sets\.mixed\.inputs: no record in 1 file\(s\); .*a\.jsonl:1: not valid JSON"
    ):
        read_file(home, file)
    assert not list(home.glob("*"))


def test_a_step_is_run_again_when_its_file_is_written_again_and_not_otherwise(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = texts("Why?", "How?")
    first = read(home, records)
    assert capsys.readouterr().out == f"mixed: read: 2 records, 0 unreadable ({first.folder})\n"
    file = home.parent.parent / "records.jsonl"
    again = read_file(home, file)
    assert again == first
    assert capsys.readouterr().out == f"mixed: read: unchanged, 2 records, 0 unreadable ({first.folder})\n"
    file.write_bytes(as_jsonl([*records, *texts("Who?")]))
    assert read_file(home, file).folder != first.folder
    assert questions_of(first.data) == ["Why?", "How?"]


# What is chosen.


def test_copies_are_looked_for_among_sound_rows_only(home: Path) -> None:
    data = read(home, texts("Why?", "why?", "How?", "WHY?", "How?"))
    hashed = hash_step(home, data, chosen(home, 1, 2, 3, 4), NO_PICTURES)
    step = deduplicate_step(home, hashed, DeduplicationConfig())
    assert step.rows.tolist() == [1, 2]
    assert step.counts == {"kept": 2, "duplicates": 2}


def test_curation_chooses_among_the_rows_that_are_left(home: Path) -> None:
    data = read(home, [*texts(*"abcd"), *texts(*"efgh", source="GQA")])
    step = curate_step(home, data, chosen(home, 1, 4, 5, 7), CurationConfig(threshold=2))
    assert len(step.rows) == 3
    assert 1 in step.rows
    assert set(step.rows) < {1, 4, 5, 7}


def test_a_preset_is_what_it_says_and_not_what_it_is_called(home: Path) -> None:
    data, rows = read(home, texts(*"abcd")), chosen(home, 0, 1, 2, 3)
    by_name = curate_step(home, data, rows, CurationConfig(preset="cambrian-t350k"))
    assert curate_step(home, data, rows, CurationConfig(threshold=350_000)).folder == by_name.folder
    assert curate_step(home, data, rows, CurationConfig(threshold=350_001)).folder != by_name.folder


def test_nothing_left_is_an_error_and_no_empty_data_set(home: Path) -> None:
    data, nothing = read(home, texts("Why?")), chosen(home)
    with pytest.raises(ValueError, match=r"^sets\.mixed: no record is left after validate-"):
        write_step(home, data, nothing, None, SMALL, 0)
    with pytest.raises(ValueError, match=r"^sets\.mixed: no record is left after validate-"):
        curate_step(home, data, nothing, CurationConfig())
    assert not list(home.glob("prepared-*"))


# What is written.


def test_the_chosen_records_are_written_with_the_prompts_of_their_source(home: Path) -> None:
    data = read(home, [*texts("Why?", "How?"), *texts("Who?", source="mine")])
    step = write_step(home, data, chosen(home, 1, 2), SystemPromptConfig(), SMALL, 0)
    assert questions_of(step.data) == ["How?\nAnswer the question using a single number or phrase.", "Who?"]
    assert read_index(step.data)["line"].to_pylist() == [2, 3]
    plain = write_step(home, data, chosen(home, 2, 1), None, SMALL, 0)
    assert questions_of(plain.data) == ["How?", "Who?"]


def test_an_edited_table_of_prompts_is_another_step(home: Path, tmp_path: Path) -> None:
    data, rows, table = read(home, texts("Why?")), chosen(home, 0), tmp_path / "table.yaml"
    made = list[Step]()
    for sentence in ("Be brief.", "Be clear."):
        table.write_text(yaml.safe_dump({"kinds": {"k": sentence}, "sources": {"ChartQA": {"always": ["k"]}}}))
        made.append(write_step(home, data, rows, SystemPromptConfig(table=table), SMALL, 0))
    assert [questions_of(step.data) for step in made] == [["Why?\nBe brief."], ["Why?\nBe clear."]]


@given(st.sets(st.integers(0, 10**9), max_size=60), st.integers(1, 70), st.integers(0, 3))
def test_every_row_is_dealt_once_and_rows_rise_within_a_shard(rows: set[int], size: int, seed: int) -> None:
    dealt = deal(np.array(sorted(rows), dtype=np.int64), size, seed).tolist()
    assert sorted(dealt) == sorted(rows)
    for start in range(0, len(dealt), size):
        assert dealt[start : start + size] == sorted(dealt[start : start + size])


def test_every_shard_gets_its_share_of_every_source_and_the_seed_decides_which() -> None:
    rows = np.arange(10_000)
    dealt = deal(rows, 1000, 0)
    for start in range(0, 10_000, 1000):
        # A tenth is 100 on average, with a standard deviation of 9.
        shares = np.bincount(dealt[start : start + 1000] // 1000, minlength=10)
        assert shares.min() > 60
        assert shares.max() < 140
    assert dealt.tolist() == deal(rows, 1000, 0).tolist() != deal(rows, 1000, 1).tolist()


# Benchmarks.


@pytest.fixture
def benchmark(tmp_path: Path) -> Path:
    for name in ("a.png", "deep/b.JPG"):
        save_picture(tmp_path / "bench" / name)
    (tmp_path / "bench" / "notes.txt").write_text("no picture")
    return tmp_path / "bench"


def test_a_benchmark_s_pictures_are_those_below_its_folder_or_those_asked_about(
    benchmark: Path, tmp_path: Path
) -> None:
    every = benchmark_pictures("b", BenchmarkPicturesConfig(images=str(benchmark)), tmp_path / "out")
    assert every.names == ("a.png", "deep/b.JPG")
    questions = write_lines(tmp_path / "q.jsonl", [{"image": "deep/b.JPG"}, {"image": None}, {"image": "deep/b.JPG"}])
    asked = BenchmarkPicturesConfig(images=str(benchmark), questions=(str(questions),))
    some = benchmark_pictures("b", asked, tmp_path / "out")
    assert some.names == ("deep/b.JPG",)
    assert some.recipe != every.recipe


def test_a_benchmark_that_cannot_be_compared_whole_is_refused(benchmark: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"leakage\.benchmarks\.b: names no picture"):
        benchmark_pictures("b", BenchmarkPicturesConfig(images=str(tmp_path / "empty")), tmp_path / "out")
    questions = write_lines(tmp_path / "q.jsonl", [{"image": "a.png"}, "{"])
    asked = BenchmarkPicturesConfig(images=str(benchmark), questions=(str(questions),))
    with pytest.raises(ValueError, match=r"q\.jsonl:2: not valid JSON"):
        benchmark_pictures("b", asked, tmp_path / "out")


def test_what_is_misspelt_is_found_before_the_first_step(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    write_lines(tmp_path / "a.jsonl", [{"id": 1}])
    sound = {"inputs": [{"files": str(tmp_path / "a.jsonl")}], "images": str(tmp_path / "images")}
    find_all(settings(output=tmp_path / "out", sets={"one": sound, "two": sound}))
    absent = str(tmp_path / "absent")
    for field, (value, said) in {
        "inputs": ([{"files": absent}], "absent: there is no such file"),
        "images": (absent, r"^sets\.two\.images: "),
        "curation": ({"categories": absent}, "absent: there is no such table"),
        "system_prompts": ({"table": absent}, "absent: there is no such table"),
    }.items():
        with pytest.raises(ValueError, match=said):
            find_all(settings(output=tmp_path / "out", sets={"one": sound, "two": sound | {field: value}}))
    leakage = {"benchmarks": {"b": {"images": absent}}}
    with pytest.raises(ValueError, match=r"^leakage\.benchmarks\.b\.images: "):
        find_all(settings(output=tmp_path / "out", sets={"one": sound}, leakage=leakage))
    assert not (tmp_path / "out").exists()


# The settings, and what is said at the end.


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "a b"])
def test_a_set_s_name_is_a_folder_s_name(name: str) -> None:
    with pytest.raises(ValueError, match="is to be a folder's name"):
        settings(sets={name: {"inputs": [{"files": "a"}], "images": "i"}})


def test_flags_reach_every_setting_of_a_set() -> None:
    flags = ["--sets.instruction.curation.preset", "cambrian-t150k", "--sets.instruction.inputs.0.source", "mine"]
    document = yaml.safe_load(EXAMPLE.read_text())
    world = document.pop("world")
    assert world["folder"] == "runs/world"
    given_settings = PrepareConfig.model_validate(document)
    assert given_settings.sets["instruction"].deduplication == DeduplicationConfig()
    found = parse_settings(PrepareConfig, ["--output", "o", *flags, "--sets.instruction.inputs.0.files", "f",
                                           "--sets.instruction.images", "i"])  # fmt: skip
    assert found.sets["instruction"].curation == CurationConfig(preset="cambrian-t150k")
    assert found.sets["instruction"].inputs == (InputConfig(files="f", source="mine"),)


def test_the_lines_at_the_end_are_those_of_an_experiment_file() -> None:
    data = Path("/out/mixed/prepared-1/data")
    prepared = Prepared("mixed", data, "/my images: 1", {"records in": 1234, "prepared": 12}, (Path("/r.html"),), None)
    text = render([prepared])
    assert "mixed: 1,234 records in, 12 prepared\n  /r.html\n" in text
    assert "/out/NAME/newest always leads" in text
    written = yaml.safe_load(text.partition("experiment file:\n")[2])["data"]
    (source,) = DataConfig.model_validate(written).sources.values()
    assert (source.shards, source.images) == (str(data), "/my images: 1")


HELP = """
import runpy, sys
sys.argv = ["jobs/prepare_data.py", "--help"]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    print(sorted({"torch", "ray", "transformers", "matplotlib", "numpy", "pyarrow", "PIL"} & sys.modules.keys()))
"""


def test_help_imports_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", HELP], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("\n[]\n")
    assert "--sets.NAME.curation.preset" in done.stdout
