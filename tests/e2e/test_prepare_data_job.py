"""jobs/prepare_data.py as its user runs it, on files as others publish them, with what goes wrong: kills, a full disk, lost rights."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
import yaml

from opabinia.command_line import parse_settings
from opabinia.data.preparation.index import read_index
from opabinia.data.prepare import Prepared, prepare
from opabinia.data.prepare_config import PrepareConfig
from opabinia.data.records import parse_record
from opabinia.data.shards import read_lines
from opabinia.data.source import SourceConfig, list_shards
from tests.conftest import ROOT
from tests.e2e.published_sets import BAD, CHARTS, COPIES, GRAPHS, LEAKED, TEXTS, experiment, write_published
from tests.storage.conftest import Bucket
from tests.storage.limits import as_nobody

pytestmark = pytest.mark.e2e

STEPS = ["read", "validate", "hash", "deduplicate", "curate", "leakage", "prepared"]
THRESHOLD = 40

Done = subprocess.CompletedProcess[str]


def command(file: Path, *flags: str) -> list[str]:
    return [sys.executable, str(ROOT / "jobs" / "prepare_data.py"), "--config", str(file), *flags]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "RAY_ADDRESS": ray.get_runtime_context().gcs_address}


def run(file: Path, *flags: str, **how: Any) -> Done:
    return subprocess.run(command(file, *flags), env=environment(), capture_output=True, text=True, timeout=300, **how)


def run_here(file: Path, *flags: str) -> Prepared:
    """The same without the seconds that a process takes to start."""
    (done,) = prepare(parse_settings(PrepareConfig, ["--config", str(file), *flags]))
    return done


def steps_run(said: str) -> dict[str, bool]:
    """Step -> whether it had to be run, in the order of the job's lines."""
    lines = [line.split(": ", 2) for line in said.splitlines() if line.startswith("mixed: ") and " (/" in line]
    return {name: not outcome.startswith("unchanged, ") for _, name, outcome in lines}


def prepared_lines(data: Path) -> list[str]:
    """The lines of all shards, as training lists and reads them."""
    shards = list_shards("mixed", SourceConfig(shards=str(data), images="."))
    lines = [(str(shard), number, text) for shard in shards for number, text in read_lines(Path(shard))]
    assert all(parse_record(text, shard, number) for shard, number, text in lines)
    return [text for _, _, text in lines]


def files_of(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below a folder with when it was written and what it holds."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def check_whole(home: Path) -> None:
    """Under final names there are finished steps alone."""
    for step in home.iterdir():
        if not step.name.startswith(".") and step.name != "newest":
            assert {"step.json", "counts.json"} <= {file.name for file in step.iterdir()}, step


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    write_published(folder)
    return folder


@pytest.fixture(scope="module")
def finished(published: Path, tmp_path_factory: pytest.TempPathFactory, local_ray: None) -> tuple[Path, Done]:
    """The settings file of a job that has been run, and what it said."""
    file = experiment(published, tmp_path_factory.mktemp("finished") / "prepared")
    return file, run(file)


@pytest.fixture
def again(finished: tuple[Path, Done], published: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A settings file with an output folder in which everything is done, and that folder: a copy, to be spoiled."""
    output = tmp_path / "prepared"
    shutil.copytree(yaml.safe_load(finished[0].read_text())["output"], output, symlinks=True)
    return experiment(published, output), output / "mixed"


def test_mixed_files_become_shards_that_training_reads(finished: tuple[Path, Done], published: Path) -> None:
    file, done = finished
    assert done.returncode == 0, done.stderr
    assert list(steps_run(done.stdout).items()) == [(step, True) for step in STEPS]
    kept = [min(count, THRESHOLD) for count in (CHARTS, GRAPHS, TEXTS)]
    read = CHARTS + GRAPHS + TEXTS + COPIES + BAD
    counts = f"mixed: {read} records in, {BAD} rejected, {COPIES} duplicates, "
    left_out = CHARTS + GRAPHS + TEXTS - sum(kept)
    assert counts in done.stdout
    assert f"{left_out} left out by curation, {sum(kept)} prepared" in done.stdout

    written = yaml.safe_load(done.stdout.partition("experiment file:\n")[2])
    source = written["data"]["sources"]["mixed"]
    assert source["images"] == str(published / "images")
    lines = prepared_lines(Path(source["shards"]))
    sources = Counter(json.loads(line)["source"] for line in lines)
    assert sources == dict(zip(["ChartQA", "gqa.json", "OpenOrca"], kept, strict=True))
    home = Path(yaml.safe_load(file.read_text())["output"]) / "mixed"
    assert prepared_lines(home / "newest") == lines
    check_whole(home)


def test_every_record_that_is_not_prepared_is_accounted_for(finished: tuple[Path, Done]) -> None:
    home = Path(yaml.safe_load(finished[0].read_text())["output"]) / "mixed"
    (quarantine,) = home.glob("validate-*/report/quarantine.jsonl")
    reasons = [(Path(line["file"]).name, line["line"], line["kind"]) for line in map(json.loads, quarantine.open())]
    assert reasons == [
        ("graphs.jsonl.gz", 11, "unreadable"),
        ("graphs.jsonl.gz", 12, "unreadable"),
        ("charts.json", CHARTS + 1, "image missing"),
        ("charts.json", CHARTS + 2, "image broken"),
        ("charts.json", CHARTS + COPIES + 3, "image size"),
        ("b.jsonl", 22, "roles"),
    ]
    (duplicates,) = home.glob("deduplicate-*/duplicates.jsonl")
    assert len(duplicates.read_text().splitlines()) == COPIES
    (leakage,) = home.glob("leakage-*/leakage.json")
    assert json.loads(leakage.read_text())["total"]["matched"] == LEAKED


def test_questions_get_the_prompts_of_their_source_and_records_know_where_they_came_from(
    finished: tuple[Path, Done], published: Path
) -> None:
    data = Path(yaml.safe_load(finished[0].read_text())["output"]) / "mixed" / "newest"
    records = [json.loads(line) for line in prepared_lines(data)]
    prompt = "\nAnswer the question using a single number or phrase."
    for record in records:
        question = record["conversations"][0]["value"]
        assert question.endswith(prompt) == (record["source"] == "ChartQA")
    index = read_index(data).to_pylist()
    assert len(index) == len(records)
    charts = json.loads((published / "charts.json").read_text())
    for row, record in zip(index, records, strict=True):
        if row["file"] == str(published / "charts.json"):
            question = charts[row["line"] - 1]["conversations"][0]["value"]
            assert record["conversations"][0]["value"] == question + prompt


def test_every_shard_holds_records_of_every_source(finished: tuple[Path, Done]) -> None:
    data = Path(yaml.safe_load(finished[0].read_text())["output"]) / "mixed" / "newest"
    for shard in sorted(data.glob("part-*.jsonl"))[:-1]:
        assert len({json.loads(line)["source"] for line in shard.read_text().splitlines()}) == 3


def test_a_second_run_runs_nothing_again_and_writes_nothing(again: tuple[Path, Path]) -> None:
    file, home = again
    before = files_of(home)
    done = run(file)
    assert done.returncode == 0, done.stderr
    assert steps_run(done.stdout) == dict.fromkeys(STEPS, False)
    assert files_of(home) == before


@pytest.mark.parametrize(
    ("flags", "first"),
    [
        (["--sets.mixed.curation.threshold", "20"], "curate"),
        (["--sets.mixed.deduplication.distance", "3"], "deduplicate"),
        (["--limits.min_side", "5"], "validate"),
        (["--seed", "1"], "prepared"),
    ],
)
def test_a_changed_setting_runs_again_what_depends_on_it(
    again: tuple[Path, Path], flags: list[str], first: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file, home = again
    before, data = files_of(home), (home / "newest").resolve()
    run_here(file, *flags)
    changed = STEPS.index(first)
    assert steps_run(capsys.readouterr().out) == {step: place >= changed for place, step in enumerate(STEPS)}
    # What an experiment may be reading is as it was, and the newest is new.
    assert before.items() <= files_of(home).items()
    assert (home / "newest").resolve() != data
    assert data.is_dir()


def test_a_picture_that_was_missing_is_looked_for_again(
    published: Path, tmp_path: Path, local_ray: None, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(published, folder)
    file = experiment(folder, tmp_path / "prepared")
    assert run_here(file).counts["rejected"] == BAD
    capsys.readouterr()
    shutil.copy(folder / "images" / "1.jpg", folder / "images" / "gone.jpg")
    assert run_here(file).counts["rejected"] == BAD - 1
    assert steps_run(capsys.readouterr().out) == {step: step != "read" for step in STEPS}


def test_pictures_of_a_benchmark_can_be_kept_out(again: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    file, home = again
    done = run_here(file, "--leakage.remove", "true")
    assert list(steps_run(capsys.readouterr().out)) == [
        "read",
        "validate",
        "hash",
        "deduplicate",
        "leakage",
        "curate",
        "prepared",
    ]
    # Of every 20 pictured records two show 4.jpg or 7.jpg, and so do two of the remaining 10 graphs.
    assert done.counts["leaked and removed"] == CHARTS // 10 + 6
    shown = {json.loads(line).get("image") for line in prepared_lines(home / "newest")}
    assert shown == {None, *(f"{number}.jpg" for number in range(20) if number not in (4, 7))}


def test_too_many_bad_records_stop_the_job_with_one_line_that_leads_to_the_report(again: tuple[Path, Path]) -> None:
    file, _ = again
    done = run(file, "--max_rejected", "0.03")
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if "rejected" in line]
    assert line.startswith("sets.mixed: 6 of 150 records rejected (4.0%, max_rejected 3.0%); the reasons are in ")
    assert Path(line.rpartition(" ")[2]).is_file()


def test_a_killed_job_goes_on_where_it_was_and_ends_with_the_same_bytes(
    again: tuple[Path, Path], published: Path, tmp_path: Path
) -> None:
    _, expected = again
    output = tmp_path / "killed"
    file, home = experiment(published, output), output / "mixed"
    killed_in = list[str]()
    for step in ("read", "validate", "hash"):
        kill_during(file, home, step, killed_in)
        check_whole(home)
        assert not (home / "newest").exists()
    assert "validate" in killed_in
    done = run(file)
    assert done.returncode == 0, done.stderr
    assert not steps_run(done.stdout)["read"]
    assert not list(output.rglob("*.partial"))
    for folder in ("newest", "curate-*"):
        (made,), (wanted,) = home.glob(folder), expected.glob(folder)
        assert contents(made) == contents(wanted)


def kill_during(file: Path, home: Path, step: str, killed_in: list[str]) -> None:
    """Start the job and kill it while it writes this step, or at the latest after it."""
    job = subprocess.Popen(command(file), env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while job.poll() is None:
        caught = list(home.glob(f".{step}-*.partial"))
        if caught or list(home.glob(f"{step}-*")):
            job.send_signal(signal.SIGKILL)
            killed_in += [step] * bool(caught)
            break
        time.sleep(0.0005)
    job.wait()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("room", [4_000, 20_000])
def test_a_full_disk_is_one_line_and_leaves_whole_steps_only(
    published: Path, tmp_path: Path, room: int, local_ray: None
) -> None:
    file = experiment(published, tmp_path / "prepared")
    done = run(file, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)))
    assert done.returncode == 2, done.stderr
    # Ray, whose log meets the same limit, has lines of its own.
    (line,) = [line for line in done.stderr.splitlines() if line.startswith(str(tmp_path))]
    assert ": the disk is full (" in line
    assert line.endswith("; free space and run again")
    check_whole(tmp_path / "prepared" / "mixed")
    assert not list((tmp_path / "prepared").rglob("*.partial"))
    assert run(file).returncode == 0


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can reach."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        write_published(folder)
        yield folder


def test_a_right_that_was_taken_away_is_one_line_and_loses_nothing(open_folder: Path, local_ray: None) -> None:
    settings = parse_settings(PrepareConfig, ["--config", str(experiment(open_folder, open_folder / "prepared"))])
    home = open_folder / "prepared" / "mixed"
    (open_folder / "charts.json").chmod(0o000)
    with as_nobody(), pytest.raises(ValueError, match=r"charts\.json: access is denied .* the right to read there$"):
        prepare(settings)
    assert not list(home.glob("[!.]*"))
    (open_folder / "charts.json").chmod(0o444)
    (open_folder / "images").chmod(0o000)
    with as_nobody(), pytest.raises(ValueError, match=r"images.*: access is denied .* the right to list there$"):
        prepare(settings)
    (open_folder / "images").chmod(0o755)
    home.chmod(0o555)
    with as_nobody(), pytest.raises(ValueError, match=r"mixed.*: access is denied .* the right to write there$"):
        prepare(settings)
    assert [path.name for path in home.iterdir()] == [".lock"]
    home.chmod(0o755)
    (done,) = prepare(settings)
    assert done.counts["prepared"] == 110


def test_files_in_a_bucket_are_read_and_the_prepared_set_is_copied_to_one(
    bucket: Bucket, published: Path, tmp_path: Path, local_ray: None
) -> None:
    bucket.put("in/charts.json", (published / "charts.json").read_bytes())
    bucket.put("in/graphs.jsonl.gz", (published / "graphs.jsonl.gz").read_bytes())
    file = experiment(published, tmp_path / "prepared", inputs=[{"files": bucket.address("in")}])
    flags = ["--upload", bucket.address("out")]
    done = run(file, *flags)
    assert done.returncode == 0, done.stderr
    source = yaml.safe_load(done.stdout.partition("experiment file:\n")[2])["data"]["sources"]["mixed"]
    assert source["shards"].startswith(bucket.address("out/mixed/prepared-"))
    start = source["shards"].removeprefix(bucket.address(""))
    newest = tmp_path / "prepared" / "mixed" / "newest"
    assert {key.removeprefix(f"{start}/"): bucket.get(key) for key in bucket.list_keys() if key.startswith(start)} == (
        contents(newest)
    )
    assert not any(steps_run(run(file, *flags).stdout).values())
    # The same size, so that the ETag alone tells.
    bucket.put("in/charts.json", (published / "charts.json").read_bytes().replace(b"ask, 3?", b"ask, X?"))
    assert all(steps_run(run(file, *flags).stdout).values())
